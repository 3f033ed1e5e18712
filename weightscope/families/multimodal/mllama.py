"""Llama 3.2 Vision (Meta 2024): some layers look at images beside the text. Source: `MllamaConfig` of transformers."""

from __future__ import annotations

from typing import Any

from weightscope.components.base import Group
from weightscope.components.decoder import CausalLM
from weightscope.components.projection import Projection
from weightscope.components.vision.cross_language import CrossVisionLanguage, TiledEye
from weightscope.config import Config, Nullable
from weightscope.families.common.multimodal import part, replaced
from weightscope.families.registry import component_of, family
from weightscope.families.siblings.mllama_tower import VISION, VISION_NAMES, tower
from weightscope.roles import Section

MLLAMA: dict[str, Any] = {"image_token_index": 128256, "architectures": Nullable(list)}
# What a root stands for: prefixes of the language model, of its decoder within it, and of tower and bridge.
SPELLINGS = {
    "as published": ("language_model", "model", ""),
    "as transformers 5 holds it": ("", "model.language_model", "model."),
}


@family(
    "mllama",
    roots=tuple(SPELLINGS),
    defaults=MLLAMA,
    attribute_map={"image_token_id": "image_token_index"},
    needs=("text_config", "vision_config"),
)
def mllama(config: Config, root: str) -> CrossVisionLanguage:
    """The head is never tied, whatever the config says."""
    language, decoder, above = SPELLINGS[root]
    text = replaced(config.nested("text_config"), architectures=config["architectures"])
    model = component_of(CausalLM, text, decoder, "mllama_text_model")
    vision = part(config, "vision_config", VISION, VISION_NAMES)
    eye = tower(vision, f"{above}vision_model")
    return CrossVisionLanguage(
        eye=TiledEye(
            tower=eye,
            bridge=Projection(
                name=f"{above}multi_modal_projector",
                inputs=vision["vision_output_dim"],
                outputs=model.decoder.embedding.width,
                bias=True,
                section=Section.PROJECTOR,
            ),
            arrangements=int(eye.before.arrangements),
        ),
        language=Group(name=language, parts=(model,)),
        image_token=int(config["image_token_index"]),
    )
