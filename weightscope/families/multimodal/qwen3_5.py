"""Qwen 3.5 and its mixtures see: Qwen3-VL's tower without the features between.

Sources: `Qwen3_5Config` and `Qwen3_5MoeConfig` of transformers.
"""

from __future__ import annotations

from functools import partial

from weightscope.components.decoder import CausalLM
from weightscope.components.vision.language import VisionLanguage
from weightscope.config import Config
from weightscope.families.common.mixtures import SWITCHED
from weightscope.families.registry import family
from weightscope.families.siblings.qwen3_tower import qwen3_tower
from weightscope.families.siblings.qwen_delta import BY_MLX
from weightscope.families.siblings.qwen_vl import PARTS, PUBLISHED_TOGETHER, TOWERLESS, WHOLE, seeing

QWEN3_5 = WHOLE | {
    "image_token_id": 248056, "video_token_id": 248057, "vision_start_token_id": 248053,
    "vision_end_token_id": 248054,
}  # fmt: skip
MLX = "as MLX has it"
SEEN = PUBLISHED_TOGETHER | {
    TOWERLESS: ("", "language_model", BY_MLX),
    MLX: ("vision_tower", "language_model", BY_MLX),
}
# How the experts lie: in one tensor each matrix, those of the layers that predict ahead not always.
MIXED = {
    f"experts {how}": ("model.visual", "", f"model.language_model, experts {how}")
    for how in ("stacked", "stacked but ahead", "apart")
} | {
    TOWERLESS: ("", "language_model", SWITCHED),
    MLX: ("vision_tower", "language_model", SWITCHED),
}


@family("qwen3_5", roots=tuple(SEEN), parts=(TOWERLESS,), defaults=QWEN3_5, needs=PARTS)
def qwen3_5(config: Config, root: str) -> VisionLanguage | CausalLM:
    """Before delta nets and attention."""
    return seeing(config, SEEN[root], partial(qwen3_tower, config), "qwen3_5_text")


@family("qwen3_5_moe", roots=tuple(MIXED), parts=(TOWERLESS,), defaults=QWEN3_5, needs=PARTS)
def qwen3_5_moe(config: Config, root: str) -> VisionLanguage | CausalLM:
    """Before their mixture."""
    return seeing(config, MIXED[root], partial(qwen3_tower, config), "qwen3_5_moe_text")
