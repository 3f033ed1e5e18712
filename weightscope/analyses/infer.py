"""Roles guessed from the field's usual names, for tensors that no family declares; always marked as inferred."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from weightscope.quantization.common.marks import PACKED, mark_of
from weightscope.roles import Role, Section, section_of
from weightscope.storage.base import Kind


class Guess(NamedTuple):
    """What a name suggests."""

    role: Role
    section: Section
    kind: Kind


# The last word of the module that owns a tensor, as published models spell it.
_WORDS = {
    Role.LAYER_EMBEDDING: "embed_tokens_per_layer per_layer_embeddings",
    Role.LAYER_EMBEDDING_PROJ: "per_layer_model_projection",
    Role.LAYER_EMBEDDING_NORM: "per_layer_projection_norm",
    Role.LAYER_INPUT_GATE: "per_layer_input_gate",
    Role.LAYER_INPUT_PROJ: "per_layer_projection",
    Role.LAYER_INPUT_NORM: "post_per_layer_input_norm",
    Role.TOKEN_EMBEDDING: "embed_tokens wte word_embeddings tok_embeddings embed_in embed token_embedding token_embd",
    Role.POSITION_EMBEDDING: "wpe position_embeddings position_embedding embed_positions pos_embed pos_emb "
    "position_embd",
    Role.TOKEN_TYPE_EMBEDDING: "token_type_embeddings token_types",
    Role.CLASS_EMBEDDING: "class_embedding cls_token",
    Role.PATCH_EMBEDDING: "patch_embedding patch_embed patch_embd",
    Role.Q_PROJ: "q_proj query to_q wq q_lin attn_q",
    Role.K_PROJ: "k_proj key to_k wk k_lin attn_k",
    Role.V_PROJ: "v_proj value to_v wv v_lin attn_v",
    Role.O_PROJ: "o_proj out_proj to_out wo out_lin attn_output linear_proj",
    Role.QKV_PROJ: "qkv_proj qkv query_key_value c_attn Wqkv wqkv W_pack in_proj_weight in_proj_bias attn_qkv "
    "linear_qkv",
    Role.Q_A_PROJ: "q_a_proj attn_q_a",
    Role.Q_B_PROJ: "q_b_proj attn_q_b",
    Role.KV_A_PROJ: "kv_a_proj_with_mqa kv_a_proj attn_kv_a_mqa",
    Role.KV_B_PROJ: "kv_b_proj attn_kv_b",
    Role.GATE_PROJ: "gate_proj w1 wi_0 ffn_gate ffn_gate_exps ffn_gate_shexp",
    Role.UP_PROJ: "up_proj w3 wi_1 wi fc1 fc_in c_fc dense_h_to_4h lin1 linear_fc1 ffn_up ffn_up_exps ffn_up_shexp",
    Role.DOWN_PROJ: "down_proj w2 fc2 fc_out dense_4h_to_h lin2 linear_fc2 ffn_down ffn_down_exps ffn_down_shexp",
    Role.GATE_UP_PROJ: "gate_up_proj ffn_gate_up_exps",
    Role.ROUTER: "router gate ffn_gate_inp",
    Role.Q_NORM: "q_norm q_layernorm query_norm attn_q_norm",
    Role.K_NORM: "k_norm k_layernorm key_norm attn_k_norm",
    Role.INPUT_NORM: "input_layernorm ln_1 attention_norm input_norm attn_norm",
    Role.POST_ATTENTION_NORM: "post_attention_layernorm ln_2 ffn_norm post_attention_norm",
    Role.FINAL_NORM: "ln_f final_layernorm final_layer_norm",
    Role.LM_HEAD: "lm_head embed_out output_projection",
    Role.LORA_A: "lora_A lora_a",
    Role.LORA_B: "lora_B lora_b",
    Role.STATE_SPACE: "A_log dt_proj x_proj dt_bias D ssm_a ssm_d ssm_dt ssm_x ssm_in ssm_out",
    Role.CONVOLUTION: "conv1d conv ssm_conv1d",
}
_ROLE_OF_WORD = {word: role for role, words in _WORDS.items() for word in words.split()}

_BUFFERS = {
    Role.ROTARY_TABLE: r"(^|\.)(inv_freq|cos_cached|sin_cached|freqs_cis)$|^rope_f(req|actor)s\w*\.weight$",
    Role.CAUSAL_MASK: r"(^|\.)masked_bias$|(^|\.)(attn|attention)\.bias$|causal_mask$",
    Role.POSITION_IDS: r"(^|\.)position_ids$",
    Role.ROUTER_BIAS: r"e_score_correction_bias$",
    Role.RUNNING_STATISTIC: r"(^|\.)(running_mean|running_var|num_batches_tracked)$",
}
_BUFFER_PATTERNS = {role: re.compile(pattern) for role, pattern in _BUFFERS.items()}

_LEAVES = re.compile(r"\.(weight|bias|base_layer|default)$")

# Words that mean the attention's output or a half of the MLP, told by the words before them; the first that matches.
AMBIGUOUS = ("c_proj", "proj", "output", "dense")
_CONTEXT = (
    (re.compile(r"attn|attention"), Role.O_PROJ),
    (re.compile(r"\bintermediate\b"), Role.UP_PROJ),
    (re.compile(r"mlp|\boutput\.dense$"), Role.DOWN_PROJ),
)

# Words that many kinds of networks use, and the path by which they mean what a language model means by them.
_IN_PLACE = {
    "conv": re.compile(r"\bmixer\b|mamba|ssm|linear_attn|short_conv|temporal_block|\bconv\.conv$"),
    "gate": re.compile(r"(mlp|moe|ffn|feed_forward)\w*\.gate$"),
    "lin1": re.compile(r"ffn"),
}
_IN_PLACE |= {"conv1d": _IN_PLACE["conv"], "lin2": _IN_PLACE["lin1"]}
_NORM = re.compile(r"norm|(^|_)ln(_|\d|$)", re.IGNORECASE)
_EMBEDDED = re.compile(r"(^|_)emb")

# What stands before the vocabulary's matrix in the heads of masked language models (RoBERTa, ESM, MPNet) is no head.
_HEAD_PARTS = re.compile(r"\blm_head\.(dense|layer_norm|LayerNorm)$")

# Parts of a model that are accounted as a whole, by a word anywhere in the path; the first that matches.
_PARTS = (
    (Section.ADAPTER, re.compile(r"lora_|(?<!vision_)(?<!image_)(?<!audio_)adapter")),
    (
        Section.PROJECTOR,
        re.compile(
            r"projector|connector|resampler|merger|mlp1\.|aligner|vision_adapter|image_adapter|audio_adapter"
            r"|vision_projection|image_projection|audio_projection|image_to_text_projection|\bmlp_AR\b|image_newline"
            r"|\b(vision|image|audio)_proj\b|^mm\."
        ),
    ),
    (Section.AUDIO, re.compile(r"audio_(tower|encoder|model)|\baudio\.|speech_encoder|\bapm\.|^a\.blk\.")),
    (
        Section.VISION,
        re.compile(r"vision|visual|image_encoder|image_tower|video_tower|\bvpm\.|\bvit\.|\bimage_model\b|^v\."),
    ),
    (Section.MOE, re.compile(r"experts?\.|block_sparse_moe|\bmoe\b|router|_(exps|shexp|chexps)\b|\bffn_gate_inp")),
    (Section.STATE_SPACE, re.compile(r"\bmixer\b|mamba|ssm|linear_attn|\btime_mix_")),
)


@lru_cache(maxsize=4096)
def guess(template: str, dimensions: int) -> Guess:
    """The role that a name with its numbers blanked suggests; `dimensions` tells a matrix from a vector."""
    for role, pattern in _BUFFER_PATTERNS.items():
        # GPT-2's attn.bias is a causal mask; an attention layer's bias vector has one dimension.
        if pattern.search(template) and not (role is Role.CAUSAL_MASK and dimensions == 1):
            return Guess(role, Section.OTHER, Kind.BUFFER)
    kind = Kind.WEIGHT
    module = template
    mark = mark_of(template)
    if mark is not None:
        kind, module = (Kind.WEIGHT if mark[1] in PACKED else Kind.SCALE), mark[0]
    elif template.endswith((".bias", "in_proj_bias")):
        kind = Kind.BIAS
    role = _role(_LEAVES.sub("", _LEAVES.sub("", module)))
    return Guess(role, _section(template, role), kind)


def _role(module: str) -> Role:
    words = [word for word in module.split(".") if word != "{}"]
    if module == "embedding" or (words[-1:] == ["shared"] and len(words) < 3):
        return Role.TOKEN_EMBEDDING
    if _HEAD_PARTS.search(module):
        words = words[-1:]
    last = words[-1] if words else ""
    if _NORM.search(last) and last not in _ROLE_OF_WORD:
        return _norm(words, module)
    # Outside of any layer it is the head, as in decoders of translation models; `output` is llama.cpp's name of it.
    if (last in ("fc_out", "output_layer") or module == "output") and "{}" not in module:
        return Role.LM_HEAD
    for word in reversed(words[-2:]):
        if word in _ROLE_OF_WORD and (word not in _IN_PLACE or _IN_PLACE[word].search(module)):
            return _ROLE_OF_WORD[word]
    if last in AMBIGUOUS:
        return next((role for pattern, role in _CONTEXT if pattern.search(module)), Role.UNKNOWN)
    return Role.UNKNOWN


def _norm(words: list[str], module: str) -> Role:
    if any(map(_EMBEDDED.search, words[-2:])) and not words[-1].endswith("after"):
        return Role.EMBEDDING_NORM
    return Role.NORM if "{}" in module else Role.FINAL_NORM


def _section(template: str, role: Role) -> Section:
    own = section_of(role)
    for section, pattern in _PARTS:
        if pattern.search(template) and not (own is Section.NORM and section in (Section.MOE, Section.STATE_SPACE)):
            return section
    return own
