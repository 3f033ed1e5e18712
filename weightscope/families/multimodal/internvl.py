"""InternVL as transformers has it: pictures in tiles, pixel shuffle. Source: `InternVLConfig` of transformers."""

from __future__ import annotations

from typing import Any

from weightscope.components.base import Group
from weightscope.components.decoder import CausalLM
from weightscope.components.vision.language import VisionLanguage
from weightscope.components.vision.tiled_eye import TiledEye
from weightscope.components.vision.vit_encoder import WholeNormEncoder
from weightscope.config import Config, Nullable
from weightscope.families.common.multimodal import decided_text_config, feature_layer
from weightscope.families.registry import component_of, family
from weightscope.families.siblings.internvit import projector

INTERNVL: dict[str, Any] = {
    "projector_hidden_act": "gelu", "image_token_id": 151667, "downsample_ratio": 0.5,
    "vision_feature_layer": Nullable(object, -1), "vision_feature_select_strategy": "default",
    "tie_word_embeddings": True, "architectures": Nullable(list),
}  # fmt: skip
# What a root stands for: prefixes of the language model, of its decoder within it, of tower and projector.
SPELLINGS = {
    "as published": ("language_model", "model", "vision_tower", "multi_modal_projector"),
    "as transformers holds it": ("", "model.language_model", "model.vision_tower", "model.multi_modal_projector"),
}
NAMES = ("layer_norm", "linear_1", "linear_2")


@family("internvl", roots=tuple(SPELLINGS), defaults=INTERNVL, needs=("text_config", "vision_config"))
def internvl(config: Config, root: str) -> VisionLanguage:
    """The last norm acts on the features where they are those of layer -1."""
    language, decoder, eye, bridge = SPELLINGS[root]
    tower = component_of(WholeNormEncoder, config.nested("vision_config"), eye, "internvl_vision")
    model = component_of(CausalLM, decided_text_config(config), decoder, "qwen2")
    if config["vision_feature_select_strategy"] != "default":
        raise config.undeclared(
            f"the vision_feature_select_strategy {config['vision_feature_select_strategy']!r:.60} is not declared"
        )
    merger = projector(config, tower, model.decoder.embedding.width, bridge, NAMES, config["projector_hidden_act"])
    return VisionLanguage(
        eye=TiledEye(
            tower=tower,
            bridge=merger,
            each=(merger.side // merger.merge) ** 2,
            layers=feature_layer(config, tower.depth),
            normed=config["vision_feature_layer"] == -1,
        ),
        language=Group(name=language, parts=(model,)),
        image_token=int(config["image_token_id"]),
    )
