"""Decoders of which some layers see a window or a chunk, and rotate otherwise than the rest."""

from __future__ import annotations

from weightscope.errors import UndeclaredError
from weightscope.gguf.architecture import Architecture, Settings
from weightscope.gguf.dense import AFTER_ATTENTION, PAIRED, biased, usual
from weightscope.gguf.keys import Keys
from weightscope.gguf.mixtures import shared_experts
from weightscope.gguf.rotation import rotation

NEAR, FAR, CHUNKED = "sliding_attention", "full_attention", "chunked_attention"
PATTERN = "attention.sliding_window_pattern"
# A file that does not list its layers has this many from one that sees everything to the next.
EVERY = 4
# What llama.cpp takes for Llama 4, whatever the model was trained with; of its two sizes the larger has no norms.
CHUNK, GROWTH, MAVERICK = 8192, 0.1, 128


def windows(keys: Keys, every: int = EVERY) -> list[bool]:
    """Which layers see a window: as the file lists them, or all but every so many."""
    if keys.lists(PATTERN):
        return [bool(slides) for slides in keys.layers(PATTERN)]
    return keys.all_but_every(keys.whole(PATTERN) or every)


def windowed(keys: Keys, every: int = EVERY) -> Settings:
    """The window, and which layers see it."""
    return {
        "sliding_window": keys.whole("attention.sliding_window"),
        "layer_types": [NEAR if slides else FAR for slides in windows(keys, every)],
    }


def _cohere2(keys: Keys) -> Settings:
    return {
        "layer_norm_eps": keys.number("attention.layer_norm_epsilon"),
        "logit_scale": keys.number("logit_scale"),
        "head_dim": keys.whole("attention.key_length"),
        **rotation(keys),
        **windowed(keys),
    }


def _olmo3(keys: Keys) -> Settings:
    # Only layers that see everything have a scaled rotation.
    turned = rotation(keys)
    near = {"rope_type": "default", "rope_theta": keys.number("rope.freq_base_swa") or turned["rope_theta"]}
    far = (turned["rope_scaling"] or {"rope_type": "default"}) | {"rope_theta": turned["rope_theta"]}
    return usual(keys) | windowed(keys) | {"rope_scaling": None, "rope_parameters": {NEAR: near, FAR: far}}


def _exaone4(keys: Keys) -> Settings:
    # The smaller models have no window, and rotate everywhere.
    return usual(keys) | (windowed(keys) if keys.whole("attention.sliding_window") else {"sliding_window": None})


def _exaone_moe(keys: Keys) -> Settings:
    mixed = shared_experts(keys)
    return (
        usual(keys)
        | windowed(keys)
        | mixed
        | {"num_experts": mixed["n_routed_experts"], "num_shared_experts": mixed["n_shared_experts"]}
    )


def _llama4(keys: Keys) -> Settings:
    experts = keys.whole("expert_count")
    if not experts or keys.whole("attention.sliding_window") == 0:
        raise UndeclaredError("Llama 4 without experts or without chunks is not declared", where=keys.metadata.where)
    chunked = windows(keys)
    return (
        usual(keys)
        | biased(keys)
        | {
            "intermediate_size": keys.whole("expert_feed_forward_length"),
            "intermediate_size_mlp": keys.whole("feed_forward_length"),
            "num_local_experts": experts,
            "num_experts_per_tok": keys.whole("expert_used_count"),
            "interleave_moe_layer_step": keys.whole("interleave_moe_layer_step") or 1,
            "use_qk_norm": experts != MAVERICK,
            "attention_chunk_size": CHUNK,
            "floor_scale": CHUNK,
            "attn_scale": GROWTH,
            "no_rope_layers": [int(chunk) for chunk in chunked],
            "layer_types": [CHUNKED if chunk else FAR for chunk in chunked],
        }
    )


def _ministral3(keys: Keys) -> Settings:
    turned = rotation(keys, share=False)
    scaled, log = turned["rope_scaling"], keys.number("rope.scaling.yarn_log_multiplier")
    growth = keys.number("attention.temperature_scale")
    if scaled is not None and log:
        scaled |= {"mscale": 1.0, "mscale_all_dim": log}
    if scaled is not None and growth:
        scaled |= {"llama_4_scaling_beta": growth}
    theta = {"rope_theta": turned["rope_theta"]}
    return usual(keys) | {
        "sliding_window": None,
        "rope_scaling": None,
        "rope_parameters": (scaled or {"rope_type": "default"}) | theta,
    }


COHERE2 = Architecture(model_type="cohere2", settings=_cohere2)
OLMO3 = Architecture(model_type="olmo3", settings=_olmo3, names=AFTER_ATTENTION)
EXAONE4 = Architecture(model_type="exaone4", settings=_exaone4, names=AFTER_ATTENTION)
EXAONE_MOE = Architecture(model_type="exaone_moe", settings=_exaone_moe)
LLAMA4 = Architecture(model_type="llama4_text", settings=_llama4)
MINISTRAL3 = Architecture(model_type="ministral3", settings=_ministral3, changes=PAIRED)
