"""Tiny models of types that transformers cannot build: the same maths in a type that it can, under published names.

Each rewrites what transformers saved into the published layout in a few lines of its own, beside the config keys that
the published code has. That code is never run.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from tests.families.tiny import DEEPSEEK, ENDS, LLAMA, VISION, Tiny
from tests.families.tiny_mixtures import DEEPSEEK4

State = dict[str, torch.Tensor]
HEADS, KV, WIDTH, INNER = 6, 2, 24, 52
MHA = LLAMA | {"num_key_value_heads": HEADS}
BIASED = {"attention_bias": True, "mlp_bias": True}
# What several published configs have in common with transformers' names.
SIZES: dict[str, Any] = {
    "vocab_size": 101,
    "hidden_size": WIDTH,
    "intermediate_size": INNER,
    "num_hidden_layers": 3,
    "num_attention_heads": HEADS,
    "rms_norm_eps": 1e-6,
} | ENDS


@dataclass(frozen=True)
class Remote:
    """A model of `model_type`: transformers' `oracle`, its tensors rewritten, and the published config.

    `prepare` changes the oracle's weights where the published maths needs it; `alibi` hands it ALiBi in place of
    rotation; `beside` are auxiliary tensors that the oracle has not, `elsewhere` is a part of the oracle's that is
    published apart. Only a `usual` spelling comes of the config alone.
    """

    name: str
    model_type: str
    oracle: Tiny
    rewrite: Callable[[State], State]
    config: dict[str, Any]
    prepare: Callable[[torch.nn.Module], None] | None = None
    alibi: bool = False
    beside: dict[str, tuple[int, ...]] = field(default_factory=dict)
    elsewhere: str = ""
    usual: bool = True


def renamed(state: State, *pairs: tuple[str, str]) -> State:
    """Each name with every pattern replaced in turn."""
    found = {}
    for name, tensor in state.items():
        new = name
        for pattern, by in pairs:
            new = re.sub(pattern, by, new)
        found[new] = tensor
    return found


def fused(state: State, into: str, parts: tuple[str, ...], how: Callable[..., torch.Tensor] | None = None) -> State:
    """The tensors of `parts` of each module joined to one, by rows unless `how` says otherwise."""
    found, done = dict(state), set()
    for name in state:
        for leaf in ("weight", "bias"):
            end = f"{parts[0]}.{leaf}"
            if name.endswith(f".{end}") and name not in done:
                stem = name.removesuffix(end)
                pieces = [found.pop(f"{stem}{part}.{leaf}") for part in parts]
                found[f"{stem}{into}.{leaf}"] = how(*pieces) if how else torch.cat(pieces)
                done.add(name)
    return found


def per_head(heads: int) -> Callable[..., torch.Tensor]:
    """Rows of the parts, for each of `heads` groups in turn."""
    return lambda *parts: torch.cat(
        [row for rows in zip(*(p.chunk(heads) for p in parts), strict=True) for row in rows]
    )


def transposed(state: State, *ends: str) -> State:
    """Matrices under these names as (in, out)."""
    return {n: t.T.contiguous() if n.endswith(tuple(f"{e}.weight" for e in ends)) else t for n, t in state.items()}


def with_loud_rows(state: State) -> State:
    """The head's rows, of length 1 in the oracle, at other lengths."""
    loud = torch.rand(len(state["lm_head.weight"]), 1, generator=torch.Generator().manual_seed(1)) + 0.5
    return state | {"lm_head.weight": state["lm_head.weight"] * loud}


def unit_head(model: torch.nn.Module) -> None:
    head = model.get_output_embeddings().weight  # type: ignore[operator]
    head.copy_(head / head.pow(2).sum(1, keepdim=True).sqrt())


def without(*ends: str) -> tuple[Callable[[torch.nn.Module], None], Callable[[State], State]]:
    """Biases that the published layout has not: zero in the oracle, absent from the file."""

    def zero(model: torch.nn.Module) -> None:
        for name, parameter in model.named_parameters():
            if name.endswith(ends):
                parameter.zero_()

    return zero, lambda state: {name: tensor for name, tensor in state.items() if not name.endswith(ends)}


# Qwen: GPT-2's names, w2 the gate.
def qwen(state: State) -> State:
    return renamed(
        fused(state, "c_attn", ("q_proj", "k_proj", "v_proj")),
        (r"^model\.embed_tokens", "transformer.wte"), (r"^model\.layers", "transformer.h"),
        (r"^model\.norm", "transformer.ln_f"), ("self_attn", "attn"), ("o_proj", "c_proj"),
        ("gate_proj", "w2"), ("up_proj", "w1"), ("down_proj", "c_proj"),
        ("input_layernorm", "ln_1"), ("post_attention_layernorm", "ln_2"),
    )  # fmt: skip


# EXAONE 3: GPT-2's names, c_fc_0 the gate.
def exaone(state: State) -> State:
    return renamed(
        state,
        (r"^model\.embed_tokens", "transformer.wte"), (r"^model\.layers", "transformer.h"),
        (r"^model\.norm", "transformer.ln_f"), ("self_attn", "attn.attention"), ("o_proj", "out_proj"),
        ("gate_proj", "c_fc_0"), ("up_proj", "c_fc_1"), ("down_proj", "c_proj"),
        ("input_layernorm", "ln_1"), ("post_attention_layernorm", "ln_2"),
    )  # fmt: skip


EXAONE = {
    "vocab_size": 101, "hidden_size": WIDTH, "intermediate_size": INNER, "num_layers": 3,
    "num_attention_heads": HEADS, "num_key_value_heads": KV, "layer_norm_epsilon": 1e-6, "tie_word_embeddings": False,
} | ENDS  # fmt: skip
SCALED = {
    "rope_type": "llama3", "factor": 8.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
    "original_max_position_embeddings": 8,
}  # fmt: skip
QWEN = {
    "vocab_size": 101, "hidden_size": WIDTH, "intermediate_size": 2 * INNER, "num_hidden_layers": 3,
    "num_attention_heads": HEADS, "kv_channels": WIDTH // HEADS, "layer_norm_epsilon": 1e-6, "no_bias": True,
    "rotary_pct": 1.0, "rotary_emb_base": 10000, "seq_length": 16, "use_dynamic_ntk": True, "use_logn_attn": True,
    "tie_word_embeddings": False,
} | ENDS  # fmt: skip


# ChatGLM: GLM's maths.
def chatglm(state: State) -> State:
    return renamed(
        fused(state, "query_key_value", ("q_proj", "k_proj", "v_proj")), *CHATGLM_NAMES
    )  # fmt: skip


CHATGLM_NAMES = (
    (r"^model\.embed_tokens", "transformer.embedding.word_embeddings"),
    (r"^model\.layers", "transformer.encoder.layers"), (r"^model\.norm", "transformer.encoder.final_layernorm"),
    (r"^lm_head", "transformer.output_layer"), ("self_attn", "self_attention"), ("o_proj", "dense"),
    ("gate_up_proj", "dense_h_to_4h"), ("down_proj", "dense_4h_to_h"),
)  # fmt: skip
GLM = LLAMA | {"head_dim": 8, "attention_bias": True, "rms_norm_eps": 1e-5}
CHATGLM = {
    "padded_vocab_size": 101, "hidden_size": WIDTH, "ffn_hidden_size": INNER, "num_layers": 3, "kv_channels": 8,
    "num_attention_heads": HEADS, "multi_query_attention": True, "multi_query_group_num": KV, "add_qkv_bias": True,
    "add_bias_linear": False, "layernorm_epsilon": 1e-5, "rmsnorm": True, "post_layer_norm": True,
    "apply_residual_connection_post_layernorm": False, "original_rope": True, "tie_word_embeddings": False,
} | ENDS  # fmt: skip


def baichuan(state: State) -> State:
    return fused(state, "W_pack", ("q_proj", "k_proj", "v_proj"))


BAICHUAN = SIZES | {"vocab_size": 64000, "hidden_act": "silu", "tie_word_embeddings": False}
BAICHUAN2 = BAICHUAN | {"vocab_size": 125696}


def internlm2(state: State) -> State:
    return renamed(
        fused(state, "wqkv", ("q_proj", "k_proj", "v_proj"), per_head(KV)),
        ("embed_tokens", "tok_embeddings"), ("self_attn", "attention"), ("o_proj", "wo"), (r"mlp\.", "feed_forward."),
        ("gate_proj", "w1"), ("up_proj", "w3"), ("down_proj", "w2"), (r"^lm_head", "output"),
        ("input_layernorm", "attention_norm"), ("post_attention_layernorm", "ffn_norm"),
    )  # fmt: skip


INTERNLM2: dict[str, Any] = SIZES | {
    "num_key_value_heads": KV,
    "bias": False,
    "rope_theta": 1e6,
    "tie_word_embeddings": False,
}


# TeleChat 7B: BLOOM's names, biases on what goes back to the width.
NO_BIAS = ("q_proj.bias", "k_proj.bias", "v_proj.bias", "gate_proj.bias", "up_proj.bias")
zero_inward, drop_inward = without(*NO_BIAS)


def telechat(state: State) -> State:
    return renamed(
        fused(drop_inward(state), "key_value", ("k_proj", "v_proj"), per_head(HEADS)),
        (r"^model\.embed_tokens", "transformer.word_embeddings"), (r"^model\.layers", "transformer.h"),
        (r"^model\.norm", "transformer.ln_f"), ("self_attn", "self_attention"),
        ("q_proj", "query"), ("o_proj", "dense"),
    )  # fmt: skip


TELECHAT = {
    "vocab_size": 101, "hidden_size": WIDTH, "ffn_hidden_size": INNER, "n_layer": 3, "n_head": HEADS,
    "layer_norm_epsilon": 1e-6, "training_seqlen": 8192, "embed_layernorm": False,
} | ENDS  # fmt: skip
# 10000 · 3 ** (4 / 2): a sequence of twice 4,096 raises theta by 3, by heads of 4 squared.
RAISED = {"rope_parameters": {"rope_type": "default", "rope_theta": 90000.0}}


# TeleChat 52B: GPT-2's names and orientation.
def telechat_52b(state: State) -> State:
    state = renamed(
        fused(fused(state, "c_attn", ("q_proj", "k_proj", "v_proj")), "c_fc", ("gate_proj", "up_proj")),
        (r"^model\.embed_tokens", "transformer.wte"), (r"^model\.layers", "transformer.h"),
        (r"^model\.norm", "transformer.ln_f"), ("self_attn", "attn"), ("o_proj|down_proj", "c_proj"),
        ("input_layernorm", "ln_1"), ("post_attention_layernorm", "ln_2"),
    )  # fmt: skip
    return transposed(state, "c_attn", "c_fc", "c_proj")


def telechat_mup(state: State) -> State:
    """What `input_mult` 3 and `output_mult` 2 over `mup_scale_factor` 5 make of it is the oracle's."""
    found = telechat_52b(state)
    found["transformer.wte.weight"] = found["transformer.wte.weight"] / 3
    found["lm_head.weight"] = found["lm_head.weight"] * 5 / 2
    return found


TELECHAT_52B = {
    "vocab_size": 101, "n_embd": WIDTH, "n_inner": INNER, "n_layer": 3, "n_head": HEADS, "n_positions": 37,
    "activation_function": "silu", "layer_norm_epsilon": 1e-6, "relative_encoding": "rotary", "rotary_theta": 10000,
    "rotary_use_xpos": False, "use_RMSNorm": True, "add_bias_linear": False, "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": True, "use_mup": False, "tie_word_embeddings": False,
} | ENDS  # fmt: skip


MTP = "model.mtp_layers.{}."
AHEAD = {
    f"{MTP.format(layer)}{name}": shape
    for layer in range(2)
    for name, shape in {
        "input_proj.weight": (WIDTH, 2 * WIDTH),
        **{f"{norm}.weight": (WIDTH,) for norm in (
            "token_layernorm", "hidden_layernorm", "final_layernorm", "input_layernorm", "post_attention_layernorm",
        )},
        "mlp.gate_proj.weight": (INNER, WIDTH), "mlp.up_proj.weight": (INNER, WIDTH),
        "mlp.down_proj.weight": (WIDTH, INNER),
        "self_attn.q_proj.weight": (WIDTH, WIDTH), "self_attn.q_proj.bias": (WIDTH,),
        "self_attn.k_proj.weight": (8, WIDTH), "self_attn.k_proj.bias": (8,),
        "self_attn.v_proj.weight": (8, WIDTH), "self_attn.v_proj.bias": (8,),
        "self_attn.o_proj.weight": (WIDTH, WIDTH),
    }.items()
}  # fmt: skip

# Three heads of 8, a quarter of which is one pair.
STABLELM = LLAMA | {"num_attention_heads": 3, "num_key_value_heads": 3}
EPOCH = {
    "vocab_size": 101, "hidden_size": WIDTH, "intermediate_size": INNER, "num_hidden_layers": 3,
    "num_attention_heads": 3, "num_key_value_heads": 3, "rope_pct": 0.25, "rope_theta": 10000, "norm_eps": 1e-5,
    "rotary_scaling_factor": 1.0, "tie_word_embeddings": False,
} | ENDS  # fmt: skip
FALCON = {"vocab_size": 101, "hidden_size": WIDTH, "num_hidden_layers": 3, "num_attention_heads": HEADS} | ENDS
RW = {"vocab_size": 101, "hidden_size": WIDTH, "n_layer": 3, "n_head": HEADS, "layer_norm_epsilon": 1e-5, **ENDS}
YI = SIZES | {"num_key_value_heads": KV, "rope_theta": 10000.0, "hidden_act": "silu", "tie_word_embeddings": False}
FASTER = {"rope_type": "default", "rope_theta": 1e6}
DYNAMIC = {"rope_type": "dynamic", "rope_theta": 1e6, "factor": 2.0}


def same(state: State) -> State:
    return state


def of(kind: str, keys: dict[str, Any], **changes: Any) -> Tiny:
    return Tiny("", kind, keys | changes)


# MiniMax-M1: the first half of each head turns. In the oracle, whose whole heads turn, the pairs of it lie apart.
def half_turning(model: torch.nn.Module) -> None:
    rotary = model.get_submodule("model.rotary_emb")
    rotary.inv_freq = torch.tensor([1.0, 1e4**-0.5, 0.0, 0.0])


def minimax_m1(state: State) -> State:
    order = [0, 1, 4, 5, 2, 3, 6, 7]
    return {
        name: tensor.reshape(-1, 8, 24)[:, order].flatten(0, 1) if re.search(r"\.[qk]_proj\.", name) else tensor
        for name, tensor in without_decay(state).items()
    }


# What transformers stores of the rates by which lightning attention forgets.
def without_decay(state: State) -> State:
    return {name: tensor for name, tensor in state.items() if not name.endswith(("_decay", "slope_rate"))}


MINIMAX: dict[str, Any] = LLAMA | {
    "num_hidden_layers": 4, "num_local_experts": 5, "num_attention_heads": 4, "head_dim": 8, "block_size": 7,
    "rms_norm_eps": 1e-5,
    "layer_types": ["linear_attention", "full_attention", "linear_attention", "linear_attention"],
    "full_attn_alpha_factor": 1.7, "linear_attn_alpha_factor": 1.3, "mlp_alpha_factor": 0.8, "mlp_beta_factor": 1.2,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e4},
}  # fmt: skip
MINIMAX_M1 = SIZES | {
    "num_hidden_layers": 4, "num_local_experts": 5, "num_experts_per_tok": 2, "head_dim": 8, "rotary_dim": 4,
    "num_attention_heads": 4, "num_key_value_heads": KV, "attn_type_list": [0, 1, 0, 0], "postnorm": True,
    "shared_intermediate_size": 0, "rms_norm_eps": 1e-5, "rope_theta": 1e4, "shared_moe_mode": "sigmoid",
    "layernorm_full_attention_alpha": 1.7, "layernorm_linear_attention_alpha": 1.3, "layernorm_mlp_alpha": 0.8,
    "layernorm_mlp_beta": 1.2,
}  # fmt: skip


def v4_published(state: State) -> State:
    """DeepSeek's own names."""
    return renamed(
        state,
        (r"^model\.embed_tokens\.", "embed."),
        (r"^model\.hc_head\.hc_", "hc_head_"),
        (r"^model\.", ""),
        (r"\.attn\.norm\.", ".attn.kv_norm."),
    )


RATIOS = [0, 4, 128, 4]
SIZES_V4 = {
    key: value for key, value in DEEPSEEK4.items() if key not in ("layer_types", "mlp_layer_types", "compress_rates")
}


# LLaVA's own repository: the projector's matrices have the numbers of the modules between them, the tower is elsewhere.
def llava(state: State) -> State:
    kept = {name: tensor for name, tensor in state.items() if not name.startswith("vision_tower")}
    return renamed(
        kept, (r"^language_model\.", ""), (r"^multi_modal_projector\.linear_1", "model.mm_projector.0"),
        (r"^multi_modal_projector\.linear_2", "model.mm_projector.2"), ("^image_newline", "model.image_newline"),
    )  # fmt: skip


def llava_of(text: str, kind: str = "Llava") -> Tiny:
    keys = {"text_config": LLAMA | {"model_type": text}, "vision_config": VISION, "image_token_index": 99}
    return Tiny("", kind, keys, "ForConditionalGeneration")


LLAVA = SIZES | {
    "num_key_value_heads": KV, "mm_hidden_size": VISION["hidden_size"], "mm_projector_type": "mlp2x_gelu",
    "mm_vision_tower": "openai/clip-vit-large-patch14-336", "tie_word_embeddings": False, "mm_use_im_start_end": False,
}  # fmt: skip
UNPADDED = LLAVA | {"mm_patch_merge_type": "spatial_unpad", "image_aspect_ratio": "anyres"}
REMOTE = [
    Remote("qwen", "qwen", of("Qwen2", MHA), qwen, QWEN),
    Remote("qwen-72b", "qwen", of("Qwen2", MHA, rope_parameters=FASTER), qwen, QWEN | {
        "rotary_emb_base": 1000000, "rope_theta": 1000000, "seq_length": 8, "use_dynamic_ntk": False,
        "use_logn_attn": False,
    }),
    Remote("qwen-biases", "qwen", of("Llama", MHA, **BIASED), qwen, QWEN | {"no_bias": False}),
    Remote("exaone", "exaone", of("Llama", LLAMA, rope_parameters=SCALED | {"rope_theta": 1e6}), exaone, EXAONE | {
        "rope_theta": 1e6, "rope_scaling": SCALED,
    }),
    Remote("exaone-tied", "exaone",
        of("Llama", MHA, intermediate_size=4 * WIDTH, tie_word_embeddings=True), exaone,
        {key: value for key, value in EXAONE.items() if key != "num_key_value_heads"} | {
            "intermediate_size": None, "tie_word_embeddings": True,
        }),
    Remote("PanguEmbedded", "PanguEmbedded",
        of("Llama", LLAMA, attention_bias=True, rope_parameters={"rope_type": "default", "rope_theta": 16e6}), same,
        SIZES | {"num_key_value_heads": KV, "bias": True}),
    Remote("chatglm2", "chatglm", of("Glm", GLM), chatglm, CHATGLM | {"architectures": ["ChatGLMModel"]}),
    Remote("glm-4", "chatglm", of("Glm", GLM, rope_parameters={
        "rope_type": "default", "rope_theta": 5e6, "partial_rotary_factor": 0.5,
    }), chatglm, CHATGLM | {"rope_ratio": 500, "architectures": ["ChatGLMForConditionalGeneration"]}),
    Remote("chatglm-no-groups", "chatglm", of("Glm", GLM, num_key_value_heads=HEADS, attention_bias=False),
        lambda state: renamed(
            fused(state, "query_key_value", ("q_proj", "k_proj", "v_proj"), per_head(HEADS)), *CHATGLM_NAMES
        ), CHATGLM | {"multi_query_attention": False, "add_qkv_bias": False}),
    Remote("baichuan-7b", "baichuan", of("Llama", MHA, vocab_size=64000), baichuan, BAICHUAN | {
        "max_position_embeddings": 4096, "architectures": ["BaiChuanForCausalLM"],
    }),
    Remote("baichuan-13b", "baichuan", of("Llama", MHA, vocab_size=64000), baichuan, BAICHUAN | {
        "model_max_length": 4096, "architectures": ["BaichuanForCausalLM"],
    }, alibi=True),
    Remote("baichuan2-7b", "baichuan", of("Llama", MHA, vocab_size=125696), lambda s: with_loud_rows(baichuan(s)),
        BAICHUAN2 | {"max_position_embeddings": 4096, "model_max_length": 4096}, prepare=unit_head),
    Remote("baichuan2-13b", "baichuan",
        of("Llama", MHA, vocab_size=125696, num_attention_heads=3, num_key_value_heads=3),
        lambda s: with_loud_rows(baichuan(s)), BAICHUAN2 | {"model_max_length": 4096, "num_attention_heads": 3},
        prepare=unit_head, alibi=True),
    Remote("internlm", "internlm", of("Llama", MHA, attention_bias=True), same, SIZES | {"bias": True}),
    Remote("internlm-20b", "internlm", of("Llama", MHA), same, SIZES | {"bias": False, "num_key_value_heads": HEADS}),
    Remote("internlm-dynamic", "internlm", of("Llama", MHA, max_position_embeddings=4, rope_parameters=DYNAMIC | {
        "rope_theta": 20000.0, "factor": 1.0,
    }), same, SIZES | {"bias": False, "max_position_embeddings": 4, "rotary": {"base": 20000, "type": "dynamic"}}),
    Remote("internlm2", "internlm2", of("Llama", LLAMA, rope_parameters=FASTER), internlm2, INTERNLM2),
    Remote("internlm2-biases-dynamic", "internlm2",
        of("Llama", LLAMA, attention_bias=True, max_position_embeddings=4, rope_parameters=DYNAMIC), internlm2,
        INTERNLM2 | {"bias": True, "max_position_embeddings": 4, "rope_scaling": {"type": "dynamic", "factor": 2.0}}),
    Remote("llava-original", "llava", llava_of("llama"), llava, LLAVA, elsewhere="vision_tower"),
    Remote("llava_llama", "llava_llama", llava_of("llama", "LlavaNext"), llava, UNPADDED, elsewhere="vision_tower"),
    Remote("llava_mistral", "llava_mistral", llava_of("mistral"), llava, LLAVA | {"sliding_window": None},
        elsewhere="vision_tower"),
    Remote("llava_qwen", "llava_qwen", llava_of("qwen2", "LlavaNext"), llava, UNPADDED, elsewhere="vision_tower"),
    Remote("xverse", "xverse", of("Llama", MHA), same, SIZES),
    Remote("telechat-7b", "telechat", of("Llama", MHA, tie_word_embeddings=True, **BIASED, **RAISED), telechat,
        TELECHAT, prepare=zero_inward),
    Remote("telechat-12b", "telechat", of("Llama", MHA, **BIASED), telechat, TELECHAT | {
        "training_seqlen": 4096, "tie_word_embeddings": False,
    }, prepare=zero_inward),
    Remote("telechat-52b", "telechat", of("Llama", MHA), telechat_mup, TELECHAT_52B | {
        "use_mup": True, "input_mult": 3.0, "output_mult": 2.0, "mup_scale_factor": 5.0,
    }),
    Remote("telechat-52b-biases", "telechat", of("Llama", MHA, **BIASED), telechat_52b, TELECHAT_52B | {
        "add_bias_linear": True,
    }),
    Remote("telechat-52b-layer-norm", "telechat", of("StableLm", MHA, rope_parameters={
        "rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 1.0,
    }), telechat_52b, TELECHAT_52B | {"use_RMSNorm": False, "layer_norm_epsilon": 1e-5}),
    Remote("minimax_m1", "minimax_m1", of("MiniMax", MINIMAX), minimax_m1, MINIMAX_M1, half_turning),
    Remote("minimax_text_01", "minimax_text_01", of("MiniMax", MINIMAX), without_decay, MINIMAX_M1 | {"rotary_dim": 8}),
    Remote("mimo", "mimo", of("Qwen2", LLAMA), same, SIZES | {
        "num_key_value_heads": KV, "num_nextn_predict_layers": 2, "attention_bias": True, "head_dim": 4,
        "tie_word_embeddings": False,
    }, beside=AHEAD),
    Remote("deepseek_ref", "deepseek_ref", of("DeepseekV4", SIZES_V4, compress_ratios=RATIOS), v4_published,
        SIZES_V4 | {"compress_ratios": [*RATIOS, 0], "qk_rope_head_dim": 4, "num_nextn_predict_layers": 0}),
    Remote("kimi_k2", "kimi_k2", of("DeepseekV3", DEEPSEEK), same, DEEPSEEK | {"num_nextn_predict_layers": 0}),
    Remote("RefinedWeb", "RefinedWeb", of("Falcon", FALCON, new_decoder_architecture=True, num_kv_heads=KV), same,
        RW | {"n_head_kv": KV, "parallel_attn": True}),
    Remote("RefinedWebModel", "RefinedWebModel", of("Falcon", FALCON), same, RW | {
        "multi_query": True, "parallel_attn": True,
    }),
    Remote("RefinedWebModel-alibi", "RefinedWebModel",
        of("Falcon", FALCON, multi_query=False, parallel_attn=False, alibi=True, bias=True), same, RW | {
            "alibi": True, "bias": True,
        }),
    Remote("Yi", "Yi", of("Llama", LLAMA), lambda state: renamed(
        state, ("input_layernorm", "ln1"), ("post_attention_layernorm", "ln2")
    ), YI),
    Remote("yi", "yi", of("Llama", LLAMA), same, YI, usual=False),
    Remote("stablelm_epoch", "stablelm_epoch", of("StableLm", STABLELM), same, EPOCH),
    Remote("stablelm_epoch-biases", "stablelm_epoch",
        of("StableLm", STABLELM, num_key_value_heads=1, use_qkv_bias=True), same,
        EPOCH | {"num_key_value_heads": 1, "use_qkv_bias": True}),
]  # fmt: skip


def write(remote: Remote, directory: Path, tensors: State) -> None:
    """The checkpoint as it would be published."""
    import json

    from safetensors.torch import save_file

    kept = {name: tensor.contiguous() for name, tensor in tensors.items()}
    save_file(kept, directory / "model.safetensors")
    (directory / "config.json").write_text(json.dumps({"model_type": remote.model_type} | remote.config))


from tests.families.remote_eyes import REMOTE_EYES  # noqa: E402 - they are made of what is defined above
from tests.families.remote_nemotron_nas import NEMOTRON_NAS  # noqa: E402

REMOTE += [*REMOTE_EYES, NEMOTRON_NAS]
