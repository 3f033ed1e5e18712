"""Mistral Small 3.1 and after: Pixtral's tower, squares of its patches merged, Mistral's language model.

Source: `Mistral3Config` of transformers.
"""

from __future__ import annotations

from typing import Any

from weightscope.components.base import Group
from weightscope.components.decoder import CausalLM
from weightscope.components.vision.language import VisionLanguage
from weightscope.components.vision.packed_eye import PaddedEye
from weightscope.components.vision.packed_tower import PackedTower
from weightscope.config import Config, Nullable
from weightscope.families.common.multimodal import decided_text_config, feature_layer
from weightscope.families.registry import component_of, family
from weightscope.families.siblings.mistral_bridge import merging

MISTRAL3: dict[str, Any] = {
    "projector_hidden_act": "gelu", "multimodal_projector_bias": False, "image_token_index": 10,
    "vision_feature_layer": Nullable(object, -1), "spatial_merge_size": 2, "tie_word_embeddings": True,
    "architectures": Nullable(list),
}  # fmt: skip
# What a root stands for: prefixes of the language model, of its decoder within it, of tower and projector.
SPELLINGS = {
    "as published": ("language_model", "model", "vision_tower", "multi_modal_projector"),
    "as transformers holds it": ("", "model.language_model", "model.vision_tower", "model.multi_modal_projector"),
}


@family(
    "mistral3",
    roots=tuple(SPELLINGS),
    defaults=MISTRAL3,
    attribute_map={"image_token_id": "image_token_index"},
    needs=("text_config", "vision_config"),
)
def mistral3(config: Config, root: str) -> VisionLanguage:
    """The projector's norm takes its epsilon from the language model."""
    language, decoder, eye, bridge = SPELLINGS[root]
    text = decided_text_config(config)
    tower = component_of(PackedTower, config.nested("vision_config"), eye, "pixtral")
    model = component_of(CausalLM, text, decoder, "mistral")
    inputs, outputs, merge = tower.patches.width, model.decoder.embedding.width, config["spatial_merge_size"]
    merger = merging(
        bridge,
        inputs,
        outputs,
        merge=merge,
        eps=text.with_defaults({"rms_norm_eps": 1e-6})["rms_norm_eps"],
        activation=config["projector_hidden_act"],
        bias=config["multimodal_projector_bias"],
    )
    return VisionLanguage(
        eye=PaddedEye(tower=tower, bridge=merger, merge=int(merge), layers=feature_layer(config, tower.depth)),
        language=Group(name=language, parts=(model,)),
        image_token=int(config["image_token_index"]),
    )
