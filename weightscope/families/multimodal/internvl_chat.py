"""InternVL as OpenGVLab publishes it (arXiv 2404.16821), around any declared language model.

Source: `InternVLChatConfig` and `InternVLChatModel` of OpenGVLab/InternVL2_5-1B.
"""

from __future__ import annotations

from typing import Any

from weightscope.components.base import Group
from weightscope.components.decoder import CausalLM
from weightscope.components.vision.language import VisionLanguage
from weightscope.components.vision.tiled_eye import ChatEye
from weightscope.components.vision.vit_encoder import WholeNormEncoder
from weightscope.config import Config, Nullable
from weightscope.families.common.multimodal import feature_layer
from weightscope.families.common.refusals import not_computed
from weightscope.families.registry import component_of, family
from weightscope.families.siblings.internvit import projector

CHAT: dict[str, Any] = {
    "downsample_ratio": 0.5, "ps_version": "v1", "select_layer": Nullable(object, -1),
    "force_image_size": Nullable(int), "img_context_token_id": Nullable(int), "use_backbone_lora": 0, "use_llm_lora": 0,
}  # fmt: skip
# The published code asks the tokenizer for <IMG_CONTEXT>; by the size of the vocabulary this is its id.
CONTEXT = {92553: 92546, 151674: 151667, 151655: 151648, 151936: 151671, 128265: 128258, 32020: 32013}
UNTOLD = "which token stands for an image: config.json may say it as img_context_token_id"


@family(
    "internvl_chat",
    roots=("as published",),
    defaults=CHAT,
    attribute_map={"vision_feature_layer": "select_layer"},
    needs=("llm_config", "vision_config"),
)
def internvl_chat(config: Config, root: str) -> VisionLanguage:
    """`llm_config` is the language model's."""
    del root
    tower = component_of(WholeNormEncoder, config.nested("vision_config"), "vision_model", "intern_vit_6b")
    model = component_of(CausalLM, config.nested("llm_config"), "model", "llama")
    for key in ("use_backbone_lora", "use_llm_lora"):
        if config[key]:
            raise config.undeclared(f"{key} {config[key]} puts an adapter into the model, which is not declared")
    embedding = model.decoder.embedding
    merger = projector(config, tower, embedding.width, "mlp1", ("0", "1", "3"), "gelu")
    token = (
        CONTEXT.get(int(embedding.rows)) if config["img_context_token_id"] is None else config["img_context_token_id"]
    )
    untold = "" if token is not None else UNTOLD
    return VisionLanguage(
        eye=ChatEye(
            tower=tower,
            bridge=merger,
            each=(merger.side // merger.merge) ** 2,
            layers=feature_layer(config, tower.depth),
        ),
        language=Group(name="language_model", parts=(model,)),
        image_token=-1 if token is None else int(token),
        refused=not_computed(config, "InternVL", {"ps_version": "v2"}) or _other_size(config, tower) or untold,
    )


def _other_size(config: Config, tower: WholeNormEncoder) -> str:
    """Why there is no forward pass where the published code stretches the tower's positions."""
    size = config["force_image_size"]
    fits = size in (None, int(tower.patches.image))
    return "" if fits else f"InternVL with force_image_size {size:,} and a tower for {tower.patches.image:,} pixels"
