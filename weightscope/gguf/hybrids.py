"""Decoders that mix tokens by a recurrence or a short convolution, in all layers or among attention."""

from __future__ import annotations

from weightscope.errors import UndeclaredError
from weightscope.gguf.architecture import Architecture, Changes, Form, Settings
from weightscope.gguf.dense import ONE_ADDED, PAIRED, biased, multipliers, usual
from weightscope.gguf.keys import Keys
from weightscope.gguf.mixtures import ahead, experts, shared_experts
from weightscope.gguf.rotation import rotation
from weightscope.roles import Role

ATTENDS, RECURS = "full_attention", "linear_attention"
A_ITSELF: Changes = {Role.A_LOG: ("negative exp",)}
MAMBA2_FORMS: dict[Role, Form] = {Role.A_LOG: "column", Role.D: "column", Role.NORM: "groups"}
FALCON_FORMS: dict[Role, Form] = {**MAMBA2_FORMS, Role.PRE_FEEDFORWARD_NORM: "bare"}
OF_VALUES = (Role.V_PROJ, Role.Z_PROJ, Role.A_PROJ, Role.B_PROJ, Role.CONVOLUTION, Role.DT_BIAS, Role.OUT_PROJ)
TILED: Changes = dict.fromkeys(OF_VALUES, ("tiled heads",)) | {Role.A_LOG: ("tiled heads", "negative exp")}


def attending(keys: Keys) -> list[bool]:
    """Which layers attend: those with heads of keys."""
    return [bool(heads) for heads in keys.layers("attention.head_count_kv")]


def _kinds(keys: Keys, other: str = RECURS) -> Settings:
    return {
        "num_key_value_heads": keys.where_any("attention.head_count_kv"),
        "layer_types": [ATTENDS if attends else other for attends in attending(keys)],
    }


def _short_convolutions(keys: Keys) -> Settings:
    return {
        **_kinds(keys, "conv"),
        **rotation(keys, share=False),
        "norm_eps": keys.number("attention.layer_norm_rms_epsilon"),
        "conv_L_cache": keys.whole("shortconv.l_cache"),
        "conv_bias": any(f"blk.{layer}.shortconv.in_proj.bias" in keys.names for layer in range(keys.depth)),
    }


def _lfm2(keys: Keys) -> Settings:
    return _short_convolutions(keys) | {"block_auto_adjust_ff_dim": False}


def _lfm2_moe(keys: Keys) -> Settings:
    first = keys.whole("leading_dense_block_count") or 0
    return _short_convolutions(keys) | {
        "num_experts": keys.whole("expert_count"),
        "num_experts_per_tok": keys.whole("expert_used_count"),
        "moe_intermediate_size": keys.whole("expert_feed_forward_length"),
        "num_dense_layers": first,
        "use_expert_bias": f"blk.{first}.exp_probs_b.bias" in keys.names,
        "norm_topk_prob": True,
    }


def _mamba2(keys: Keys, first: int = 0) -> Settings:
    """Mamba-2, of which `first` is the first layer that has it."""
    inner, heads = keys.needed("ssm.inner_size"), keys.needed("ssm.time_step_rank")
    width = keys.needed("embedding_length")
    return {
        "num_heads": heads,
        "head_dim": _shared(keys, inner, heads),
        "state_size": keys.whole("ssm.state_size"),
        "conv_kernel": keys.whole("ssm.conv_kernel"),
        "n_groups": keys.whole("ssm.group_count"),
        "expand": _shared(keys, inner, width),
        "layer_norm_epsilon": keys.number("attention.layer_norm_rms_epsilon"),
        "use_bias": f"blk.{first}.ssm_in.bias" in keys.names,
        "use_conv_bias": f"blk.{first}.ssm_conv1d.bias" in keys.names,
    }


def _mixer(keys: Keys) -> Settings:
    """Mamba-2 under the keys that most hybrids share."""
    first = next((layer for layer, attends in enumerate(attending(keys)) if not attends), 0)
    return _mixer_keys(_mamba2(keys, first))


def _mixer_keys(own: Settings) -> Settings:
    return {
        "mamba_n_heads": own["num_heads"],
        "mamba_d_head": own["head_dim"],
        "mamba_n_groups": own["n_groups"],
        "mamba_d_state": own["state_size"],
        "mamba_d_conv": own["conv_kernel"],
        "mamba_expand": own["expand"],
        "mamba_conv_bias": own["use_conv_bias"],
        "mamba_proj_bias": own["use_bias"],
    }


def is_bamba(keys: Keys) -> bool:
    """Whether a file of Granite's hybrid architecture is Bamba's: it rotates, and multiplies nothing."""
    return bool(keys.flag("rope.scaling.finetuned")) and keys.number("embedding_scale") is None


def _granite(keys: Keys) -> Settings:
    many, shared = keys.whole("expert_count") or 0, keys.whole("expert_shared_feed_forward_length")
    return (
        usual(keys)
        | biased(keys)
        | multipliers(keys)
        | experts(keys)
        | _kinds(keys)
        | _mixer(keys)
        | {
            "num_local_experts": many,
            "shared_intermediate_size": shared or (0 if many else keys.whole("feed_forward_length")),
            "position_embedding_type": "rope" if keys.flag("rope.scaling.finetuned") else None,
        }
    )


def _bamba(keys: Keys) -> Settings:
    # The class turns half of each head, whatever its config says.
    turned = usual(keys) | {"partial_rotary_factor": 0.5}
    return (
        turned
        | biased(keys)
        | {
            "num_key_value_heads": keys.where_any("attention.head_count_kv"),
            "attn_layer_indices": [layer for layer, attends in enumerate(attending(keys)) if attends],
        }
        | _mixer(keys)
    )


def _nemotron_h(keys: Keys) -> Settings:
    mlp = "moe" if keys.whole("expert_count") else "mlp"
    inner = keys.layers("feed_forward_length")
    kinds = [
        ATTENDS if attends else mlp if width else RECURS for attends, width in zip(attending(keys), inner, strict=True)
    ]
    own, mixed = _mamba2_of_hybrid(keys, kinds), shared_experts(keys) if mlp == "moe" else {}
    return (
        own
        | mixed
        | {
            "num_key_value_heads": keys.where_any("attention.head_count_kv"),
            "intermediate_size": keys.where_any("feed_forward_length"),
            "moe_shared_expert_intermediate_size": keys.whole("expert_shared_feed_forward_length"),
            "moe_latent_size": keys.whole("moe_latent_size"),
            "layers_block_type": kinds,
            "head_dim": keys.whole("attention.key_length"),
            "layer_norm_epsilon": keys.number("attention.layer_norm_epsilon")
            or keys.number("attention.layer_norm_rms_epsilon"),
        }
    )


def _mamba2_of_hybrid(keys: Keys, kinds: list[str]) -> Settings:
    first = kinds.index(RECURS) if RECURS in kinds else 0
    plain = next((layer for layer, kind in enumerate(kinds) if kind == "mlp"), 0)
    own = _mamba2(keys, first)
    return {
        "mamba_num_heads": own["num_heads"],
        "mamba_head_dim": own["head_dim"],
        "ssm_state_size": own["state_size"],
        "conv_kernel": own["conv_kernel"],
        "n_groups": own["n_groups"],
        "use_bias": own["use_bias"],
        "use_conv_bias": own["use_conv_bias"],
        "mlp_bias": f"blk.{plain}.ffn_up.bias" in keys.names,
        # The class bounds steps from below, llama.cpp does not.
        "time_step_min": 0.0,
    }


def _falcon_h1(keys: Keys) -> Settings:
    own = _mamba2(keys)
    return (
        usual(keys)
        | biased(keys)
        | _mixer_keys(own)
        | {
            "mamba_d_ssm": keys.whole("ssm.inner_size"),
            "mamba_rms_norm": "blk.0.ssm_norm.weight" in keys.names,
            "mamba_norm_before_gate": False,
            # The file's weights are multiplied by all that muP multiplies.
            "ssm_multipliers": [1.0] * 5,
            "mlp_multipliers": [1.0] * 2,
        }
    )


def _jamba(keys: Keys) -> Settings:
    attends, width = attending(keys), keys.needed("embedding_length")
    mixes = [f"blk.{layer}.ffn_gate_inp.weight" in keys.names for layer in range(keys.depth)]
    settings: Settings = {
        "num_key_value_heads": keys.where_any("attention.head_count_kv"),
        "rms_norm_eps": keys.number("attention.layer_norm_rms_epsilon"),
        "num_experts": keys.whole("expert_count"),
        "num_experts_per_tok": keys.whole("expert_used_count"),
        "mamba_d_state": keys.whole("ssm.state_size"),
        "mamba_d_conv": keys.whole("ssm.conv_kernel"),
        "mamba_expand": _shared(keys, keys.needed("ssm.inner_size"), width),
        "mamba_dt_rank": keys.whole("ssm.time_step_rank"),
    }
    for name, places in (("attn", attends), ("expert", mixes)):
        period, offset = _period(keys, places)
        settings |= {f"{name}_layer_period": period, f"{name}_layer_offset": offset}
    return settings


def _period(keys: Keys, places: list[bool]) -> tuple[int, int]:
    """How far apart the true ones are, and where the first is."""
    found = [layer for layer, true in enumerate(places) if true]
    offset = found[0] if found else len(places)
    period = found[1] - offset if len(found) > 1 else len(places) + 1
    if found != [layer for layer in range(len(places)) if layer % period == offset]:
        raise UndeclaredError("Jamba with layers at uneven distances is not declared", where=keys.metadata.where)
    return period, offset


def _qwen_delta(keys: Keys) -> Settings:
    heads = keys.needed("ssm.time_step_rank")
    listed, every = "attention.recurrent_layers", keys.whole("full_attention_interval") or 4
    recurs = keys.layers(listed) if keys.lists(listed) else keys.all_but_every(every)
    above = ahead(keys)
    return usual(keys) | {
        "num_hidden_layers": above["num_hidden_layers"],
        "mtp_num_hidden_layers": above["num_nextn_predict_layers"],
        "attention_bias": False,
        "layer_types": [RECURS if one else ATTENDS for one in recurs][: max(above["num_hidden_layers"], 0)],
        "linear_num_value_heads": heads,
        "linear_num_key_heads": keys.whole("ssm.group_count"),
        "linear_key_head_dim": keys.whole("ssm.state_size"),
        "linear_value_head_dim": _shared(keys, keys.needed("ssm.inner_size"), heads),
        "linear_conv_kernel_dim": keys.whole("ssm.conv_kernel"),
    }


def _qwen_delta_moe(keys: Keys) -> Settings:
    return _qwen_delta(keys) | {
        "num_experts": keys.whole("expert_count"),
        "num_experts_per_tok": keys.whole("expert_used_count"),
        "moe_intermediate_size": keys.whole("expert_feed_forward_length"),
        "shared_expert_intermediate_size": keys.whole("expert_shared_feed_forward_length"),
        "norm_topk_prob": True,
    }


def _shared(keys: Keys, whole: int, parts: int) -> int:
    """One part of equal ones."""
    if parts < 1 or whole % parts:
        raise UndeclaredError(
            f"its recurrence of {whole:,} elements is not {parts:,} equal parts", where=keys.metadata.where
        )
    return whole // parts


LFM2_NAMES = {
    Role.FINAL_NORM: "token_embd_norm", Role.CONVOLUTION: "shortconv.conv", Role.OUT_PROJ: "shortconv.out_proj",
}  # fmt: skip
# So are the norms of layers that predict further tokens.
WITH_ONE: Changes = {**ONE_ADDED, Role.EMBEDDING_NORM: ("plus one",), Role.NORM: ("plus one",)}
# Their second norm stands where others have one after attention.
DELTA_NAMES = {Role.POST_ATTENTION_NORM: "post_attention_norm"}
LFM2 = Architecture(model_type="lfm2", settings=_lfm2, names=LFM2_NAMES)
LFM2_MOE = Architecture(model_type="lfm2_moe", settings=_lfm2_moe, names=LFM2_NAMES)
MAMBA2 = Architecture(model_type="mamba2", settings=_mamba2, changes=A_ITSELF, forms=MAMBA2_FORMS)
GRANITE_HYBRID = Architecture(
    model_type="granitemoehybrid", settings=_granite, changes={**PAIRED, **A_ITSELF}, forms=MAMBA2_FORMS
)
BAMBA = Architecture(model_type="bamba", settings=_bamba, changes={**PAIRED, **A_ITSELF}, forms=MAMBA2_FORMS)
NEMOTRON_H = Architecture(
    model_type="nemotron_h",
    settings=_nemotron_h,
    names={Role.LATENT_DOWN_PROJ: "ffn_latent_down", Role.LATENT_UP_PROJ: "ffn_latent_up"},
    changes={**PAIRED, **A_ITSELF},
    forms=MAMBA2_FORMS,
)
FALCON_H1 = Architecture(model_type="falcon_h1", settings=_falcon_h1, changes=A_ITSELF, forms=FALCON_FORMS)
JAMBA = Architecture(model_type="jamba", settings=_jamba, changes=A_ITSELF)
QWEN3_NEXT = Architecture(
    model_type="qwen3_next", settings=_qwen_delta_moe, names=DELTA_NAMES, changes={**WITH_ONE, **A_ITSELF}
)
QWEN35 = Architecture(model_type="qwen3_5_text", settings=_qwen_delta, names=DELTA_NAMES, changes={**WITH_ONE, **TILED})
QWEN35_MOE = Architecture(
    model_type="qwen3_5_moe_text", settings=_qwen_delta_moe, names=DELTA_NAMES, changes={**WITH_ONE, **TILED}
)
