"""Gemma 3n and 4: layers that share keys, inputs of their own for layers, streams, a mixture beside the MLP."""

from __future__ import annotations

from math import erf, sqrt

from weightscope.gguf.architecture import Architecture, Settings
from weightscope.gguf.dense import AFTER_ATTENTION, usual
from weightscope.gguf.keys import Keys
from weightscope.gguf.windows import FAR, NEAR, windowed, windows
from weightscope.roles import Role

FIRST_RANK = "blk.0.laurel_l.weight"
# Where the file does not list them, so many layers lie from one that sees everything to the next.
EVERY_FIFTH, EVERY_SIXTH = 5, 6


def _both(keys: Keys, every: int) -> Settings:
    """What both have beside the usual keys."""
    return (
        usual(keys)
        | windowed(keys, every)
        | {
            "rope_scaling": None,
            "final_logit_softcapping": keys.number("final_logit_softcapping"),
            "num_kv_shared_layers": keys.whole("attention.shared_kv_layers") or 0,
            "hidden_size_per_layer_input": keys.whole("embedding_length_per_layer_input") or None,
            "vocab_size_per_layer_input": keys.rows("per_layer_token_embd.weight"),
        }
    )


def _gemma3n(keys: Keys) -> Settings:
    scales = keys.numbers("activation_sparsity_scale")
    return _both(keys, EVERY_FIFTH) | {
        "intermediate_size": list(keys.layers("feed_forward_length")),
        "rope_local_base_freq": keys.number("rope.freq_base_swa") or 10000.0,
        "altup_num_inputs": keys.whole("altup.num_inputs"),
        "altup_active_idx": keys.whole("altup.active_idx"),
        "laurel_rank": keys.rows(FIRST_RANK),
        "activation_sparsity_pattern": [_share_below(scale) for scale in scales],
    }


def _share_below(scale: float) -> float:
    """How many values of a normal distribution lie below so many deviations: what the file has is the inverse."""
    return round((1 + erf(scale / sqrt(2))) / 2, 6)


def _gemma4(keys: Keys) -> Settings:
    both, widths = _both(keys, EVERY_SIXTH), keys.layers("feed_forward_length")
    slides, heads = windows(keys, EVERY_SIXTH), keys.layers("attention.head_count_kv")
    near, far = (next((h for s, h in zip(slides, heads, strict=True) if s is wanted), None) for wanted in (True, False))
    theta, local = (keys.number(f"rope.freq_base{which}") for which in ("", "_swa"))
    experts = keys.whole("expert_count")
    return both | {
        "head_dim": keys.whole("attention.key_length_swa"),
        "global_head_dim": keys.whole("attention.key_length"),
        "num_key_value_heads": far if near is None else near,
        "num_global_key_value_heads": far,
        "attention_k_eq_v": _takes_keys_for_values(keys, slides),
        "intermediate_size": min(widths, default=None),
        "use_double_wide_mlp": len(set(widths)) > 1,
        "enable_moe_block": bool(experts),
        "num_experts": experts or None,
        "top_k_experts": keys.whole("expert_used_count") or None,
        "moe_intermediate_size": keys.whole("expert_feed_forward_length"),
        # Which pairs turn is in a tensor; until a pass reads it, the part is that of all published models.
        "rope_parameters": {
            NEAR: {"rope_type": "default", "rope_theta": local or 10000.0},
            FAR: {"rope_type": "proportional", "partial_rotary_factor": 0.25, "rope_theta": theta or 1000000.0},
        },
    }


def _takes_keys_for_values(keys: Keys, slides: list[bool]) -> bool:
    """Whether layers that see everything have keys and no values."""
    last = len(slides) - (keys.whole("attention.shared_kv_layers") or 0)
    far = [layer for layer, near in enumerate(slides[: max(last, 0)]) if not near]
    return bool(far) and not any(f"blk.{layer}.attn_v.weight" in keys.names for layer in far)


NAMES = AFTER_ATTENTION | {
    Role.LAYER_EMBEDDING: "per_layer_token_embd",
    Role.LAYER_EMBEDDING_PROJ: "per_layer_model_proj",
    Role.LAYER_EMBEDDING_NORM: "per_layer_proj_norm",
    Role.LAYER_INPUT_GATE: "inp_gate",
    Role.LAYER_INPUT_PROJ: "proj",
    Role.LAYER_INPUT_NORM: "post_norm",
}
STREAMS = {
    Role.ALTUP_PROJ: "altup_proj",
    Role.ALTUP_UNEMBED_PROJ: "altup_unembd_proj",
    Role.ALTUP_ROUTER: "altup_router",
    Role.ALTUP_NORM: "altup_router_norm",
    Role.ALTUP_PREDICTION: "altup_predict_coef",
    Role.ALTUP_CORRECTION: "altup_correct_coef",
    Role.ALTUP_SCALE: "altup_correct_scale",
    Role.LAUREL_LEFT: "laurel_l",
    Role.LAUREL_RIGHT: "laurel_r",
    Role.LAUREL_NORM: "laurel_post_norm",
}
SCALES = {
    Role.LAYER_SCALE: "layer_output_scale", Role.ROUTER_SCALE: "ffn_gate_inp", Role.EXPERT_SCALE: "ffn_down_exps",
}  # fmt: skip
GEMMA3N = Architecture(model_type="gemma3n_text", settings=_gemma3n, names=NAMES | STREAMS)
GEMMA4 = Architecture(model_type="gemma4_text", settings=_gemma4, names=NAMES | SCALES)
