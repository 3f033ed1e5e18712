"""GLM-4.1V, 4.5V and 4.6V (arXiv 2507.01006). Sources: `Glm4vConfig`, `Glm4vMoeConfig`, `Glm46VConfig`."""

from __future__ import annotations

from functools import partial

from weightscope.components.decoder import CausalLM
from weightscope.components.vision.language import VisionLanguage
from weightscope.config import Config
from weightscope.families.common.multimodal import decided_text_config, text_config
from weightscope.families.registry import family
from weightscope.families.siblings.glm_vision import MIXED, SPELLINGS, WHOLE, glm_tower, seeing
from weightscope.families.siblings.qwen_vl import TOWERLESS

PARTS = ("text_config", "vision_config")
LATER = WHOLE | {"image_token_id": 151363, "video_token_id": 151364}


@family("glm4v", roots=tuple(SPELLINGS), parts=(TOWERLESS,), defaults=WHOLE, needs=PARTS)
def glm4v(config: Config, root: str) -> VisionLanguage | CausalLM:
    """Before GLM-4."""
    return seeing(config, text_config(config), SPELLINGS[root], partial(glm_tower, config), "glm4v_text")


@family("glm4v_moe", roots=tuple(MIXED), parts=(TOWERLESS,), defaults=LATER, needs=PARTS)
def glm4v_moe(config: Config, root: str) -> VisionLanguage | CausalLM:
    """Before GLM-4.5's mixture."""
    return seeing(config, text_config(config), MIXED[root], partial(glm_tower, config), "glm4v_moe_text")


@family("glm46v", roots=tuple(MIXED), parts=(TOWERLESS,), defaults=WHOLE, needs=PARTS)
def glm46v(config: Config, root: str) -> VisionLanguage | CausalLM:
    """Before either; the whole alone decides on tying."""
    text = decided_text_config(config)
    mixed = text.data.get("model_type") == "glm4v_moe_text"
    spelling = MIXED[root] if mixed else SPELLINGS.get(root, SPELLINGS["as published"])
    return seeing(config, text, spelling, partial(glm_tower, config), "glm4v_text")
