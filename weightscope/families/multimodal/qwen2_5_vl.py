"""Qwen2.5-VL (arXiv 2502.13923): most layers of the tower see windows. Source: `Qwen2_5_VLConfig` of transformers."""

from __future__ import annotations

from weightscope.components.attention import Segments
from weightscope.components.decoder import Block, CausalLM
from weightscope.components.vision.grid_tower import GridTower
from weightscope.components.vision.language import VisionLanguage
from weightscope.config import Config
from weightscope.families.common import rms_norms
from weightscope.families.common.causal_lm import numbered
from weightscope.families.common.numbers import listed
from weightscope.families.common.parts import gated_mlp
from weightscope.families.registry import family
from weightscope.families.siblings.qwen_vl import (
    PUBLISHED_APART,
    TOWER,
    TOWER_NAMES,
    TOWERLESS,
    WHOLE,
    merger,
    patches,
    seeing,
    vision_attention,
    vision_block,
)
from weightscope.roles import Role

VISION = TOWER | {
    "hidden_size": 3584, "out_hidden_size": 3584, "hidden_act": "silu", "intermediate_size": 3420, "window_size": 112,
    "fullatt_block_indexes": [7, 15, 23, 31],
}  # fmt: skip


@family("qwen2_5_vl", roots=tuple(PUBLISHED_APART), parts=(TOWERLESS,), defaults=WHOLE, needs=("vision_config",))
def qwen2_5_vl(config: Config, root: str) -> VisionLanguage | CausalLM:
    """Layers of `fullatt_block_indexes` see whole frames, the others windows of `window_size` pixels."""
    vision = config.nested("vision_config").with_defaults(VISION, TOWER_NAMES)
    width, norm, whole = vision["hidden_size"], rms_norms(1e-6), listed(vision, "fullatt_block_indexes")

    window = vision["window_size"] // vision["spatial_merge_size"] // vision["patch_size"]
    if not window:
        raise config.error("vision_config.window_size is less than a square of merged patches")

    def layer(i: int) -> Block:
        attention = vision_attention(vision, width, Segments("frame" if i in whole else "window"))
        return vision_block(norm, width, attention, gated_mlp(vision, "mlp", bias=True))

    def tower(name: str) -> GridTower:
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

    return seeing(config, PUBLISHED_APART[root], tower, "qwen2_5_vl_text")
