"""LocateAnything (NVIDIA 2026): MoonViT before Qwen2.5, which names places in blocks of tokens at once.

Source: `LocateAnythingConfig` and the index of nvidia/LocateAnything-3B.
"""

from __future__ import annotations

from typing import Any

from weightscope.components.base import Group
from weightscope.components.decoder import CausalLM
from weightscope.components.projection import Projection
from weightscope.components.vision.language import VisionLanguage
from weightscope.components.vision.merger import PatchMerger
from weightscope.components.vision.packed_eye import FlatPatchEye
from weightscope.config import Config
from weightscope.families.common import layer_norms
from weightscope.families.registry import component_of, family
from weightscope.families.siblings.moonvit import MOONSHOT, MOONVIT, PUBLISHED, merge_of, tower
from weightscope.roles import Role

LOCATE: dict[str, Any] = {"image_token_index": 151665}


@family("locateanything", roots=("as published",), defaults=LOCATE, needs=("text_config", "vision_config"))
def locateanything(config: Config, root: str) -> VisionLanguage:
    """The projector's norm acts on squares of patches."""
    del root
    vision = config.nested("vision_config").with_defaults(MOONVIT, MOONSHOT)
    merge, model = merge_of(vision), component_of(CausalLM, config.nested("text_config"), "model", "qwen2")
    inputs, outputs = vision["hidden_size"] * merge**2, model.decoder.embedding.width
    bridge = PatchMerger(
        name="mlp1",
        norm=layer_norms(1e-5)("0", Role.PROJECTOR_NORM, inputs),
        first=Projection(name="1", inputs=inputs, outputs=outputs, bias=True),
        second=Projection(name="3", inputs=outputs, outputs=outputs, bias=True),
        activation="gelu",
        square=merge**2,
        norms_squares=True,
    )
    return VisionLanguage(
        eye=FlatPatchEye(tower=tower(vision, "vision_model", PUBLISHED), bridge=bridge, merge=merge),
        language=Group(name="language_model", parts=(model,)),
        image_token=int(config["image_token_index"]),
        refused="LocateAnything, whose language model attends within blocks of tokens",
    )
