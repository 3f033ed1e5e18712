"""Qwen3-VL and its mixtures: the language model's first layers get features of the tower's layers.

Sources: `Qwen3VLConfig` and `Qwen3VLMoeConfig` of transformers.
"""

from __future__ import annotations

from functools import partial

from weightscope.components.decoder import CausalLM
from weightscope.components.vision.language import VisionLanguage
from weightscope.config import Config
from weightscope.families.common.mixtures import SWITCHED
from weightscope.families.registry import family
from weightscope.families.siblings.qwen3_tower import qwen3_tower
from weightscope.families.siblings.qwen_vl import PARTS, PUBLISHED_TOGETHER, TOWERLESS, WHOLE, seeing

# The mixture's experts lie one way as published, and another as transformers 5 saves them.
MIXED = {
    "as published": ("model.visual", "", "model.language_model"),
    "as transformers 5 saves it": ("model.visual", "", "model.language_model, experts stacked"),
    TOWERLESS: ("", "language_model", SWITCHED),
    "as MLX has it": ("vision_tower", "language_model", SWITCHED),
}
TAPS = (8, 16, 24)


@family("qwen3_vl", roots=tuple(PUBLISHED_TOGETHER), parts=(TOWERLESS,), defaults=WHOLE, needs=PARTS)
def qwen3_vl(config: Config, root: str) -> VisionLanguage | CausalLM:
    """Before Qwen3."""
    return seeing(config, PUBLISHED_TOGETHER[root], partial(qwen3_tower, config, taps=TAPS), "qwen3_vl_text")


@family("qwen3_vl_moe", roots=tuple(MIXED), parts=(TOWERLESS,), defaults=WHOLE, needs=PARTS)
def qwen3_vl_moe(config: Config, root: str) -> VisionLanguage | CausalLM:
    """Before Qwen3's mixture."""
    return seeing(config, MIXED[root], partial(qwen3_tower, config, taps=TAPS), "qwen3_vl_moe_text")
