"""Kimi-VL (arXiv 2504.07491): MoonViT before Moonlight's mixture.

Source: `KimiVLConfig` and `KimiVLForConditionalGeneration` of moonshotai/Kimi-VL-A3B-Instruct.
"""

from __future__ import annotations

from typing import Any

from weightscope.components.base import Group
from weightscope.components.decoder import CausalLM
from weightscope.components.vision.language import VisionLanguage
from weightscope.components.vision.packed_eye import FlatPatchEye
from weightscope.config import Config
from weightscope.families.registry import component_of, family
from weightscope.families.siblings.moonvit import MOONSHOT, MOONVIT, PUBLISHED, merge_of, merger, tower

KIMI_VL: dict[str, Any] = {"media_placeholder_token_id": 163605}
PROJECTOR = ("pre_norm", "linear_1", "linear_2")


@family("kimi_vl", roots=("as published",), defaults=KIMI_VL, needs=("text_config", "vision_config"))
def kimi_vl(config: Config, root: str) -> VisionLanguage:
    """The language model is DeepSeek-V3's."""
    del root
    vision = config.nested("vision_config").with_defaults(MOONVIT, MOONSHOT)
    encoder, merge = tower(vision, "vision_tower", PUBLISHED), merge_of(vision)
    model = component_of(CausalLM, config.nested("text_config"), "model", "deepseek_v3")
    bridge = merger("multi_modal_projector", vision["hidden_size"], model.decoder.embedding.width, merge, PROJECTOR)
    return VisionLanguage(
        eye=FlatPatchEye(tower=encoder, bridge=bridge, merge=merge),
        language=Group(name="language_model", parts=(model,)),
        image_token=int(config["media_placeholder_token_id"]),
    )
