"""GLM-OCR (Z.ai 2026): GLM-4.1V's tower with norms of each head and no learned positions. Source: `GlmOcrConfig`."""

from __future__ import annotations

from functools import partial

from weightscope.components.decoder import CausalLM
from weightscope.components.vision.language import VisionLanguage
from weightscope.config import Config
from weightscope.families.common.multimodal import text_config
from weightscope.families.registry import family
from weightscope.families.siblings.glm_vision import SPELLINGS, WHOLE, ocr_tower, seeing
from weightscope.families.siblings.qwen_vl import TOWERLESS

OCR = WHOLE | {
    "image_token_id": 59280, "video_token_id": 59281, "image_start_token_id": 59256, "image_end_token_id": 59257,
}  # fmt: skip


@family("glm_ocr", roots=tuple(SPELLINGS), parts=(TOWERLESS,), defaults=OCR, needs=("text_config", "vision_config"))
def glm_ocr(config: Config, root: str) -> VisionLanguage | CausalLM:
    """Before a small GLM-4 without biases."""
    return seeing(config, text_config(config), SPELLINGS[root], partial(ocr_tower, config), "glm_ocr_text")
