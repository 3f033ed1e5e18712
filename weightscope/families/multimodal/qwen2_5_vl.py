"""Qwen2.5-VL (arXiv 2502.13923): most layers of the tower see windows. Source: `Qwen2_5_VLConfig` of transformers."""

from __future__ import annotations

from functools import partial

from weightscope.components.decoder import CausalLM
from weightscope.components.vision.language import VisionLanguage
from weightscope.config import Config
from weightscope.families.registry import family
from weightscope.families.siblings.qwen2_5_tower import qwen2_5_tower
from weightscope.families.siblings.qwen_vl import PUBLISHED_APART, TOWERLESS, WHOLE, seeing


@family("qwen2_5_vl", roots=tuple(PUBLISHED_APART), parts=(TOWERLESS,), defaults=WHOLE, needs=("vision_config",))
def qwen2_5_vl(config: Config, root: str) -> VisionLanguage | CausalLM:
    """Before Qwen2."""
    tower = partial(qwen2_5_tower, config.nested("vision_config"))
    return seeing(config, PUBLISHED_APART[root], tower, "qwen2_5_vl_text")
