"""FastVLM (arXiv 2412.13303): FastViT's map of a large image, two matrices, Qwen2. Source: `FastVlmConfig`."""

from __future__ import annotations

from typing import Any

from weightscope.components.base import Group
from weightscope.components.decoder import CausalLM
from weightscope.components.projection import Projection
from weightscope.components.vision.language import VisionLanguage
from weightscope.components.vision.plane_eye import PlaneEye
from weightscope.components.vision.projector import Projector
from weightscope.config import Config, Nullable
from weightscope.families.common.multimodal import text_config
from weightscope.families.common.refusals import require
from weightscope.families.registry import component_of, family
from weightscope.families.siblings.fastvit import COLORS, fastvit

FAST_VLM: dict[str, Any] = {
    "image_token_index": 151646, "projector_hidden_act": "gelu", "vision_feature_select_strategy": "full",
    "vision_feature_layer": Nullable(object, -1), "multimodal_projector_bias": True,
    "tie_word_embeddings": Nullable(bool), "architectures": Nullable(list),
}  # fmt: skip
VISION: dict[str, Any] = {"architecture": "resnet50", "model_args": Nullable(dict), "hidden_size": 3072}


@family(
    "fast_vlm",
    roots=("as published",),
    defaults=FAST_VLM,
    attribute_map={"image_token_id": "image_token_index"},
    needs=("text_config", "vision_config"),
)
def fast_vlm(config: Config, root: str) -> VisionLanguage:
    """Each place of the map becomes a vector."""
    del root
    require(config, "FastVLM", {"vision_feature_select_strategy": "full", "vision_feature_layer": -1})
    vision = config.nested("vision_config").with_defaults(VISION)
    model = component_of(CausalLM, text_config(config), "model.language_model", "qwen2")
    inputs, outputs, bias = vision["hidden_size"], model.decoder.embedding.width, config["multimodal_projector_bias"]
    projector = Projector(
        name="model.multi_modal_projector",
        parts=(
            Projection(name="linear_1", inputs=inputs, outputs=outputs, bias=bias),
            Projection(name="linear_2", inputs=outputs, outputs=outputs, bias=bias),
        ),
        activation=config["projector_hidden_act"],
    )
    tower = fastvit(vision, "model.vision_tower.timm_model")
    return VisionLanguage(
        eye=PlaneEye(tower=tower, bridge=projector, channels=COLORS, inputs=inputs),
        language=Group(name="", parts=(model,)),
        image_token=int(config["image_token_index"]),
    )
