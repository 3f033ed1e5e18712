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
from weightscope.families.common.multimodal import feature_layers, text_config
from weightscope.families.registry import component_of
from weightscope.families.siblings.llava import Spelling


def llava_pixtral(config: Config, spelling: Spelling) -> VisionLanguage:
    """Each patch becomes a vector."""
    tower = component_of(PackedTower, config.nested("vision_config"), f"{spelling.others}vision_tower", "pixtral")
    model = component_of(CausalLM, text_config(config), spelling.decoder, "llama")
    if config["vision_feature_select_strategy"] != "full":
        raise config.undeclared("Pixtral's tower has no class vector: vision_feature_select_strategy must be 'full'")
    layers = feature_layers(config, tower.depth)
    inputs, outputs = tower.patches.width * len(layers), model.decoder.embedding.width
    bias = config["multimodal_projector_bias"]
    projector = Projector(
        name=f"{spelling.others}multi_modal_projector",
        parts=(
            Projection(name="linear_1", inputs=inputs, outputs=outputs, bias=bias),
            Projection(name="linear_2", inputs=outputs, outputs=outputs, bias=bias),
        ),
        activation=config["projector_hidden_act"],
    )
    return VisionLanguage(
        eye=PaddedEye(tower=tower, bridge=projector, layers=layers),
        language=Group(name=spelling.language, parts=(model,)),
        image_token=int(config["image_token_index"]),
    )
