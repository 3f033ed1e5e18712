"""LLaVA with Pixtral's tower: Pixtral 12B as transformers has it (arXiv 2410.07073)."""

from __future__ import annotations

from weightscope.components.base import Group
from weightscope.components.decoder import CausalLM
from weightscope.components.projection import Projection
from weightscope.components.vision.language import VisionLanguage
from weightscope.components.vision.packed_eye import PaddedEye
from weightscope.components.vision.packed_tower import PackedTower
from weightscope.components.vision.projector import Projector
from weightscope.config import Config
from weightscope.families.common.multimodal import feature_layer, text_config
from weightscope.families.registry import component_of


def llava_pixtral(config: Config, language: str, decoder: str) -> VisionLanguage:
    """Each patch becomes a vector; without a prefix of the language model all parts lie below `model`."""
    above = "" if language else "model."
    tower = component_of(config.nested("vision_config"), f"{above}vision_tower", "pixtral")
    model = component_of(text_config(config), decoder, "llama")
    if not isinstance(tower, PackedTower) or not isinstance(model, CausalLM):
        raise config.undeclared("LLaVA with this vision_config or text_config is not declared")
    if config["vision_feature_select_strategy"] != "full":
        raise config.undeclared("Pixtral's tower has no class vector: vision_feature_select_strategy must be 'full'")
    inputs, outputs = tower.patches.width, model.decoder.embedding.width
    bias = config["multimodal_projector_bias"]
    projector = Projector(
        name=f"{above}multi_modal_projector",
        parts=(
            Projection(name="linear_1", inputs=inputs, outputs=outputs, bias=bias),
            Projection(name="linear_2", inputs=outputs, outputs=outputs, bias=bias),
        ),
        activation=config["projector_hidden_act"],
    )
    return VisionLanguage(
        eye=PaddedEye(tower=tower, bridge=projector, layers=(feature_layer(config, tower.depth),)),
        language=Group(name=language, parts=(model,)),
        image_token=int(config["image_token_index"]),
    )
