"""ERNIE 4.5 VL's config as first published: flat, with other names for some keys, which transformers 5 converts.

Source: `convert_ernie4_5_vl_moe_to_hf.py` of transformers.
"""

from __future__ import annotations

from typing import Any

from weightscope.config import Config, Nullable
from weightscope.families.common import depth_of
from weightscope.families.common.multimodal import part, replaced
from weightscope.families.siblings.ernie_tower import VISION
from weightscope.families.siblings.qwen_vl import TOWER_NAMES

STARTS, ENDS, EVERY = "moe_layer_start_index", "moe_layer_end_index", "moe_layer_interval"
FLAT: dict[str, Any] = {
    "im_patch_id": 100295, "hidden_size": 2560, "num_hidden_layers": 28, "rope_theta": 500000.0, "freq_allocation": 20,
    "num_attention_heads": 20, "head_dim": Nullable(int), "moe_num_experts": Nullable(object, 64),
    "moe_num_shared_experts": Nullable(int, 0), STARTS: Nullable(object, 1), ENDS: Nullable(object, -1), EVERY: 1,
    "spatial_conv_size": 2, "temporal_conv_size": 2, "tie_word_embeddings": True, "architectures": Nullable(list),
}  # fmt: skip
FLAT_TOWER = VISION | {"mlp_ratio": 4}


def text_of(config: Config) -> Config:
    """The language model's keys under the names that transformers 5 has for them."""
    pairs = (config["head_dim"] or config["hidden_size"] // config["num_attention_heads"]) // 2
    times = int(config["freq_allocation"])
    half = (pairs - times) // 2
    experts = config["moe_num_experts"]
    return replaced(
        config,
        model_type="ernie4_5_vl_moe_text",
        rope_parameters={
            "rope_type": "default",
            "rope_theta": config["rope_theta"],
            "mrope_section": [int(half), int(half), times],
        },
        moe_num_experts=experts[0] if isinstance(experts, list) else experts,
        moe_num_shared_experts=config["moe_num_shared_experts"] or 0,
        mlp_layer_types=["sparse" if _mixed(config, number) else "dense" for number in range(depth_of(config))],
    )


def vision_of(config: Config) -> Config:
    """The same of the tower's, of which some lie beside its own part."""
    vision = part(config, "vision_config", FLAT_TOWER, TOWER_NAMES)
    return replaced(
        vision,
        intermediate_size=int(vision["hidden_size"] * vision["mlp_ratio"]),
        spatial_merge_size=int(config["spatial_conv_size"]),
        temporal_merge_size=int(config["temporal_conv_size"]),
        rms_norm_eps=1e-6,
    ).with_defaults(VISION, TOWER_NAMES)


def _mixed(config: Config, number: int) -> bool:
    """Whether a layer is a mixture: from the first to the last that either kind of experts has."""
    first, last = min(_numbers(config, STARTS)), max(_numbers(config, ENDS))
    last = depth_of(config) - 1 if last == -1 else last
    return (number + 1) % config[EVERY] == 0 and first <= number <= last


def _numbers(config: Config, key: str) -> list[int]:
    """One number, or several.

    Raises:
        ConfigError: it is something else.
    """
    value = config[key]
    numbers = value if isinstance(value, list) else [value]
    if not numbers or not all(isinstance(number, int) and not isinstance(number, bool) for number in numbers):
        raise config.error(f"{key} is {value!r:.60}, not a layer's number or a list of them")
    return numbers
