"""Llamas and their relatives: rotary attention and a gated MLP in every layer."""

from __future__ import annotations

from weightscope.errors import UndeclaredError
from weightscope.gguf.architecture import Architecture, Changes, Settings
from weightscope.gguf.keys import Keys
from weightscope.gguf.rotation import rotation, rotation_by_axes
from weightscope.roles import Role

PAIRED: Changes = {Role.Q_PROJ: ("paired rows",), Role.K_PROJ: ("paired rows",)}
NORMS = (
    Role.INPUT_NORM, Role.POST_ATTENTION_NORM, Role.PRE_FEEDFORWARD_NORM, Role.POST_FEEDFORWARD_NORM, Role.FINAL_NORM,
    Role.Q_NORM, Role.K_NORM,
)  # fmt: skip
ONE_ADDED: Changes = dict.fromkeys(NORMS, ("plus one",))
# The norm after attention, where another one stands before the MLP; or where llama.cpp calls the latter so.
AFTER_ATTENTION = {Role.POST_ATTENTION_NORM: "post_attention_norm"}
# Layers of the largest Gemmas, whose scores are scaled by another number; no key of the file says so.
GEMMA2_27B, GEMMA3_27B = 46, 62


def usual(keys: Keys) -> Settings:
    """The epsilon, the size of a head and the rotation."""
    return {
        "rms_norm_eps": keys.number("attention.layer_norm_rms_epsilon"),
        "head_dim": keys.whole("attention.key_length"),
        **rotation(keys),
    }


def biased(keys: Keys) -> Settings:
    """Whether projections have a bias, which only the tensors tell."""
    return {
        "attention_bias": keys.biased,
        "mlp_bias": "blk.0.ffn_down.bias" in keys.names,
    }


def _llama(keys: Keys) -> Settings:
    return usual(keys) | biased(keys)


def _gemma(keys: Keys) -> Settings:
    return usual(keys) | {"head_dim": keys.head_size}


def _gemma2(keys: Keys) -> Settings:
    return _gemma(keys) | {
        "query_pre_attn_scalar": _scalar(keys, GEMMA2_27B),
        "sliding_window": keys.whole("attention.sliding_window"),
        "attn_logit_softcapping": keys.number("attn_logit_softcapping"),
        "final_logit_softcapping": keys.number("final_logit_softcapping"),
    }


def _gemma3(keys: Keys) -> Settings:
    return _gemma(keys) | {
        "query_pre_attn_scalar": _scalar(keys, GEMMA3_27B),
        "sliding_window": keys.whole("attention.sliding_window"),
        "sliding_window_pattern": keys.whole("attention.sliding_window_pattern") or 6,
        "rope_local_base_freq": keys.number("rope.freq_base_swa") or 10000.0,
        "rope_theta": keys.number("rope.freq_base") or 1000000.0,
        "final_logit_softcapping": keys.number("final_logit_softcapping"),
    }


def _gemma_embedding(keys: Keys) -> Settings:
    return _gemma3(keys) | {"use_bidirectional_attention": True, "architectures": ["Gemma3TextModel"]}


def _scalar(keys: Keys, largest: int) -> int:
    """What scores are divided by the root of: the size of a head, or in the largest model the width of one."""
    if keys.whole("block_count") == largest:
        return keys.needed("embedding_length") // max(keys.needed("attention.head_count"), 1)
    return keys.head_size


def _phi3(keys: Keys) -> Settings:
    return {
        "rms_norm_eps": keys.number("attention.layer_norm_rms_epsilon"),
        "sliding_window": keys.whole("attention.sliding_window") or None,
        "original_max_position_embeddings": keys.whole("rope.scaling.original_context_length"),
        **rotation(keys),
    }


def _glm4(keys: Keys) -> Settings:
    if keys.metadata.wholes(f"{keys.architecture}.rope.dimension_sections"):
        raise UndeclaredError("GLM-4 with a rotation by three axes is not declared", where=keys.metadata.where)
    return usual(keys) | biased(keys)


def _granite(keys: Keys) -> Settings:
    return usual(keys) | biased(keys) | multipliers(keys)


def multipliers(keys: Keys) -> Settings:
    """Granite's four numbers."""
    return {
        "attention_multiplier": keys.number("attention.scale"),
        "embedding_multiplier": keys.number("embedding_scale"),
        "residual_multiplier": keys.number("residual_scale"),
        "logits_scaling": keys.number("logit_scale"),
    }


def _smollm3(keys: Keys) -> Settings:
    # llama.cpp leaves out the rotation of every fourth layer; the file does not say so.
    turned = [int(turns) for turns in keys.all_but_every(4)]
    return usual(keys) | biased(keys) | {"no_rope_layers": turned, "use_sliding_window": False}


def _seed_oss(keys: Keys) -> Settings:
    return usual(keys) | biased(keys) | {"attention_out_bias": "blk.0.attn_output.bias" in keys.names}


def _ernie(keys: Keys) -> Settings:
    return usual(keys) | {"use_bias": keys.biased}


def _qwen2_vl(keys: Keys) -> Settings:
    return usual(keys) | rotation_by_axes(keys)


def _qwen3_vl(keys: Keys) -> Settings:
    return _llama(keys) | rotation_by_axes(keys)


def _glm(keys: Keys) -> Settings:
    # ChatGLM's files have no key for the part of a head that turns; it is half of one.
    return usual(keys) | biased(keys) | {"head_dim": keys.head_size}


LLAMA = Architecture(model_type="llama", settings=_llama, changes=PAIRED)
QWEN2 = Architecture(model_type="qwen2", settings=usual)
QWEN2_VL = Architecture(model_type="qwen2_vl_text", settings=_qwen2_vl)
QWEN3_VL = Architecture(model_type="qwen3_vl_text", settings=_qwen3_vl)
QWEN3 = Architecture(model_type="qwen3", settings=_llama)
GEMMA = Architecture(model_type="gemma", settings=_gemma, changes=ONE_ADDED)
GEMMA2 = Architecture(model_type="gemma2", settings=_gemma2, names=AFTER_ATTENTION, changes=ONE_ADDED)
GEMMA3 = Architecture(model_type="gemma3_text", settings=_gemma3, names=AFTER_ATTENTION, changes=ONE_ADDED)
GEMMA_EMBEDDING = Architecture(
    model_type="gemma3_text", settings=_gemma_embedding, names=AFTER_ATTENTION, changes=ONE_ADDED
)
PHI3 = Architecture(model_type="phi3", settings=_phi3)
GLM4 = Architecture(model_type="glm4", settings=_glm4, names=AFTER_ATTENTION)
GRANITE = Architecture(model_type="granite", settings=_granite, changes=PAIRED)
OLMO2 = Architecture(model_type="olmo2", settings=usual, names=AFTER_ATTENTION)
APERTUS = Architecture(
    model_type="apertus",
    settings=_llama,
    names={
        Role.ALPHA_P: "xielu.alpha_p", Role.ALPHA_N: "xielu.alpha_n", Role.BETA: "xielu.beta",
        Role.EPSILON: "xielu.eps",
    },
)  # fmt: skip
ARCEE = Architecture(model_type="arcee", settings=_llama, changes=PAIRED)
ERNIE = Architecture(model_type="ernie4_5", settings=_ernie)
GLM = Architecture(model_type="glm", settings=_glm)
HUNYUAN = Architecture(model_type="hunyuan_v1_dense", settings=_llama)
SEED_OSS = Architecture(model_type="seed_oss", settings=_seed_oss, names=AFTER_ATTENTION)
SMOLLM3 = Architecture(model_type="smollm3", settings=_smollm3, changes=PAIRED)
