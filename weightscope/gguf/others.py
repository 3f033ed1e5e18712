"""Older decoders, and Mamba."""

from __future__ import annotations

from weightscope.errors import UndeclaredError
from weightscope.gguf.architecture import Architecture, Settings
from weightscope.gguf.dense import ONE_ADDED, PAIRED, biased
from weightscope.gguf.keys import Keys
from weightscope.gguf.rotation import rotation
from weightscope.roles import Role


def norms_twice(keys: Keys) -> bool:
    """Whether both halves of a Falcon's block have a norm of their own."""
    return "blk.0.attn_norm_2.weight" in keys.names


def _falcon(keys: Keys) -> Settings:
    shared = keys.whole("attention.head_count_kv") or 1
    grouped = shared > 1 or norms_twice(keys)
    return {
        "layer_norm_epsilon": keys.number("attention.layer_norm_epsilon"),
        "num_kv_heads": shared,
        "ffn_hidden_size": keys.whole("feed_forward_length"),
        "new_decoder_architecture": grouped,
        "num_ln_in_parallel_attn": 2 if norms_twice(keys) else 1,
        "multi_query": not grouped,
        "parallel_attn": True,
        "alibi": False,
        "bias": keys.biased,
        **rotation(keys),
    }


def _layer_norms(keys: Keys) -> Settings:
    return {"layer_norm_epsilon": keys.number("attention.layer_norm_epsilon")}


def _gpt2(keys: Keys) -> Settings:
    return _layer_norms(keys) | {
        "n_positions": keys.whole("context_length"),
        "n_inner": keys.whole("feed_forward_length"),
    }


def _nemotron(keys: Keys) -> Settings:
    return {
        "norm_eps": keys.number("attention.layer_norm_epsilon"),
        "head_dim": keys.whole("attention.key_length"),
        **_turning(keys),
        **biased(keys),
    }


def _mamba(keys: Keys) -> Settings:
    return {
        "state_size": keys.whole("ssm.state_size"),
        "conv_kernel": keys.whole("ssm.conv_kernel"),
        "intermediate_size": keys.whole("ssm.inner_size"),
        "time_step_rank": keys.whole("ssm.time_step_rank"),
        "layer_norm_epsilon": keys.number("attention.layer_norm_rms_epsilon"),
        "use_bias": "blk.0.ssm_in.bias" in keys.names,
        "use_conv_bias": "blk.0.ssm_conv1d.bias" in keys.names,
    }


def _starcoder2(keys: Keys) -> Settings:
    return {
        "norm_epsilon": keys.number("attention.layer_norm_epsilon"),
        "head_dim": keys.whole("attention.key_length"),
        "use_bias": keys.biased,
        "sliding_window": keys.whole("attention.sliding_window"),
        **rotation(keys),
    }


def _stablelm(keys: Keys) -> Settings:
    if "blk.0.attn_q_norm.weight" in keys.names:
        raise UndeclaredError("StableLM with norms of queries and keys is not declared", where=keys.metadata.where)
    return {
        "layer_norm_eps": keys.number("attention.layer_norm_epsilon"),
        "use_qkv_bias": keys.biased,
        "use_parallel_residual": "blk.0.ffn_norm.weight" not in keys.names,
        **_turning(keys),
    }


def _phi(keys: Keys) -> Settings:
    return {"layer_norm_eps": keys.number("attention.layer_norm_epsilon"), **_turning(keys)}


def _cohere(keys: Keys) -> Settings:
    return {
        "layer_norm_eps": keys.number("attention.layer_norm_epsilon"),
        "logit_scale": keys.number("logit_scale"),
        "use_qk_norm": "blk.0.attn_q_norm.weight" in keys.names,
        "attention_bias": keys.biased,
        **rotation(keys),
    }


def _olmo(keys: Keys) -> Settings:
    return {"clip_qkv": keys.number("attention.clamp_kqv"), **rotation(keys)}


def _gpt_neox(keys: Keys) -> Settings:
    turned = _turning(keys)
    return {
        "layer_norm_eps": keys.number("attention.layer_norm_epsilon"),
        "rotary_pct": turned["partial_rotary_factor"],
        "rotary_emb_base": turned["rope_theta"],
        "use_parallel_residual": keys.flag("use_parallel_residual"),
        "attention_bias": keys.biased,
    }


def _turning(keys: Keys) -> Settings:
    """The rotation, with the part of a head that turns said in any case: these classes turn a part unless told."""
    return {"partial_rotary_factor": 1.0} | {key: value for key, value in rotation(keys).items() if value is not None}


FALCON = Architecture(model_type="falcon", settings=_falcon)
# The norm of the attention came second, so llama.cpp gave the MLP's the usual name.
FALCON_40B = Architecture(
    model_type="falcon",
    settings=_falcon,
    names={Role.INPUT_NORM: "attn_norm_2", Role.POST_ATTENTION_NORM: "attn_norm"},
)
BLOOM = Architecture(model_type="bloom", settings=_layer_norms)
GPT2 = Architecture(model_type="gpt2", settings=_gpt2)
NEMOTRON = Architecture(model_type="nemotron", settings=_nemotron, changes=ONE_ADDED)
MAMBA = Architecture(model_type="mamba", settings=_mamba, changes={Role.A_LOG: ("negative exp",)})
STARCODER2 = Architecture(model_type="starcoder2", settings=_starcoder2)
STABLELM = Architecture(model_type="stablelm", settings=_stablelm)
PHI = Architecture(model_type="phi", settings=_phi)
COHERE = Architecture(model_type="cohere", settings=_cohere)
OLMO = Architecture(model_type="olmo", settings=_olmo, changes=PAIRED)
GPT_NEOX = Architecture(model_type="gpt_neox", settings=_gpt_neox)
