"""Qwen 3.5 and its mixtures see: Qwen3-VL's tower without the features between.

Sources: `Qwen3_5Config` and `Qwen3_5MoeConfig` of transformers.
"""

from __future__ import annotations

from functools import partial

from weightscope.components.vision.grid_language import GridVisionLanguage
from weightscope.config import Config
from weightscope.families.registry import family
from weightscope.families.siblings.qwen3_tower import qwen3_tower
from weightscope.families.siblings.qwen_vl import PARTS, PUBLISHED_TOGETHER, WHOLE, seeing

QWEN3_5 = WHOLE | {
    "image_token_id": 248056, "video_token_id": 248057, "vision_start_token_id": 248053,
    "vision_end_token_id": 248054,
}  # fmt: skip
# How the experts lie: in one tensor each matrix, those of the layers that predict ahead not always.
MIXED = {
    f"experts {how}": ("model.visual", "", f"model.language_model, experts {how}")
    for how in ("stacked", "stacked but ahead", "apart")
}


@family("qwen3_5", roots=tuple(PUBLISHED_TOGETHER), defaults=QWEN3_5, needs=PARTS)
def qwen3_5(config: Config, root: str) -> GridVisionLanguage:
    """Before delta nets and attention."""
    return seeing(config, PUBLISHED_TOGETHER[root], partial(qwen3_tower, config), "qwen3_5_text")


@family("qwen3_5_moe", roots=tuple(MIXED), defaults=QWEN3_5, needs=PARTS)
def qwen3_5_moe(config: Config, root: str) -> GridVisionLanguage:
    """Before their mixture."""
    return seeing(config, MIXED[root], partial(qwen3_tower, config), "qwen3_5_moe_text")
