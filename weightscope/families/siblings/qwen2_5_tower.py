"""The vision tower of Qwen2.5-VL and Qwen2.5-Omni: most layers see windows (arXiv 2502.13923)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from weightscope.components.attention import Segments
from weightscope.components.decoder import Block
from weightscope.components.vision.grid_tower import GridTower
from weightscope.config import Config
from weightscope.families.common import rms_norms
from weightscope.families.common.causal_lm import numbered
from weightscope.families.common.numbers import listed
from weightscope.families.common.parts import gated_mlp
from weightscope.families.siblings.qwen_vl import (
    FUSED,
    TOWER,
    TOWER_NAMES,
    merger,
    patches,
    vision_attention,
    vision_block,
)
from weightscope.roles import Role
from weightscope.storage.base import StorageItem

VISION = TOWER | {
    "hidden_size": 3584, "out_hidden_size": 3584, "hidden_act": "silu", "intermediate_size": 3420, "window_size": 112,
    "fullatt_block_indexes": [7, 15, 23, 31],
}  # fmt: skip


def qwen2_5_tower(
    vision: Config,
    name: str,
    projections: tuple[StorageItem, ...] = FUSED,
    *,
    defaults: Mapping[str, Any] = VISION,
) -> GridTower:
    """Layers of `fullatt_block_indexes` see whole frames, the others windows of `window_size` pixels.

    Raises:
        ConfigError: a window is less than a square of merged patches.
    """
    vision = vision.with_defaults(defaults, TOWER_NAMES)
    width, norm, whole = vision["hidden_size"], rms_norms(1e-6), listed(vision, "fullatt_block_indexes")
    window = vision["window_size"] // vision["spatial_merge_size"] // vision["patch_size"]
    if not window:
        raise vision.error(f"{vision.prefix}window_size is less than a square of merged patches")

    def layer(i: int) -> Block:
        sees = Segments("frame" if i in whole else "window")
        attention = vision_attention(vision, width, sees, projections)
        return vision_block(norm, width, attention, gated_mlp(vision, "mlp", bias=True))

    return GridTower(
        name=name,
        patches=patches(vision, width),
        blocks=numbered("blocks", vision["depth"], layer),
        merger=merger(
            vision, width, vision["out_hidden_size"], norm("ln_q", Role.PROJECTOR_NORM, width), ("mlp.0", "mlp.2")
        ),
        merge=int(vision["spatial_merge_size"]),
        window=int(window),
    )
