"""LLaVA 1.5 (arXiv 2310.03744): a CLIP tower, a two-layer projector, any declared language model.

Source: `LlavaConfig` of transformers. The original repository's own layout (`mm_projector`) is not declared.
"""

from __future__ import annotations

from typing import Any

from weightscope.components.base import Group
from weightscope.components.decoder import CausalLM
from weightscope.components.projection import Projection
from weightscope.components.vision.crops import CropEye
from weightscope.components.vision.encoder import VisionEncoder
from weightscope.components.vision.language import VisionLanguage
from weightscope.components.vision.projector import Projector
from weightscope.config import Config, Nullable
from weightscope.families.common.multimodal import feature_layer, text_config
from weightscope.families.registry import component_of, family
from weightscope.families.siblings.llava_pixtral import llava_pixtral

LLAVA: dict[str, Any] = {
    "projector_hidden_act": "gelu", "multimodal_projector_bias": True, "image_token_index": 32000,
    "vision_feature_select_strategy": "default", "vision_feature_layer": Nullable(object, -2),
    "tie_word_embeddings": Nullable(bool), "architectures": Nullable(list),
}  # fmt: skip
# What a root stands for: prefixes of the language model's decoder and head, the vision encoder, the projector.
SPELLINGS = {
    "as published": ("language_model", "model", "vision_tower.vision_model", "multi_modal_projector"),
    "as transformers 5 saves it": ("language_model", "model", "vision_tower", "multi_modal_projector"),
    "as transformers 4.52 holds it": (
        "", "model.language_model", "model.vision_tower.vision_model", "model.multi_modal_projector",
    ),
}  # fmt: skip


@family(
    "llava",
    roots=tuple(SPELLINGS),
    defaults=LLAVA,
    attribute_map={"image_token_id": "image_token_index"},
    needs=("text_config", "vision_config"),
)
def llava(config: Config, root: str) -> VisionLanguage:
    """Features of `vision_feature_layer` replace the image tokens' embeddings."""
    language, decoder, tower, bridge = SPELLINGS[root]
    if config.nested("vision_config").model_type == "pixtral":
        return llava_pixtral(config, language, decoder)
    encoder = component_of(config.nested("vision_config"), tower, "clip_vision_model")
    model = component_of(text_config(config), decoder, "llama")
    if not isinstance(encoder, VisionEncoder) or not isinstance(model, CausalLM):
        raise config.undeclared("LLaVA with this vision_config or text_config is not declared")
    strategy = config["vision_feature_select_strategy"]
    if strategy not in ("default", "full"):
        raise config.undeclared(f"the vision_feature_select_strategy {strategy!r} is not declared")
    inputs, outputs = encoder.patches.width, model.decoder.embedding.width
    bias = config["multimodal_projector_bias"]
    projector = Projector(
        name=bridge,
        parts=(
            Projection(name="linear_1", inputs=inputs, outputs=outputs, bias=bias),
            Projection(name="linear_2", inputs=outputs, outputs=outputs, bias=bias),
        ),
        activation=config["projector_hidden_act"],
    )
    whole = strategy == "full"
    return VisionLanguage(
        eye=CropEye(
            tower=encoder,
            bridge=projector,
            each=int(encoder.patches.positions) - (not whole),
            layers=(feature_layer(config, encoder.depth),),
            whole=whole,
        ),
        language=Group(name=language, parts=(model,)),
        image_token=int(config["image_token_index"]),
    )
