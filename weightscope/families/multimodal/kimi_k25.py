"""Kimi K2.5 and after: MoonViT before Kimi K2's mixture. Source: `Kimi_K25Config` of transformers."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from weightscope.components.base import Group
from weightscope.components.decoder import CausalLM
from weightscope.components.vision.language import VisionLanguage
from weightscope.components.vision.packed_eye import PatchEye
from weightscope.config import Config, Nullable
from weightscope.families.common.mixtures import WITHIN
from weightscope.families.common.multimodal import decided_text_config
from weightscope.families.registry import component_of, family
from weightscope.families.siblings import moonvit

KIMI: dict[str, Any] = {
    "projection_hidden_size": Nullable(int, 1152), "projection_layer_norm_eps": 1e-5, "image_token_id": 163605,
    "video_token_id": 163840, "vision_start_token_id": 163602, "vision_end_token_id": 163604,
    "tie_word_embeddings": True, "architectures": Nullable(list),
}  # fmt: skip
# What a root stands for: the language model and its decoder within it, the tower and its names, the projector's parts.
SPELLINGS = {
    "as published": (
        "language_model", "model", "vision_tower", moonvit.PUBLISHED, "mm_projector", ("pre_norm", "proj.0", "proj.2"),
    ),
    "as transformers saves it": (
        "language_model", "model", "vision_tower", moonvit.SAVED,
        "", ("model.mm_projector.pre_norm", "mm_projector.proj.0", "mm_projector.proj.2"),
    ),
    "as transformers holds it": (
        "", WITHIN, "model.vision_tower", moonvit.HELD, "model.mm_projector", ("pre_norm", "in_proj", "out_proj"),
    ),
}  # fmt: skip


@family(
    "kimi_k25",
    roots=tuple(SPELLINGS),
    defaults=KIMI,
    attribute_map={"media_placeholder_token_id": "image_token_id"},
    needs=("text_config", "vision_config"),
)
def kimi_k25(config: Config, root: str) -> VisionLanguage:
    """`projection_hidden_size` repeats the tower's width."""
    language, decoder, eye, names, bridge, parts = SPELLINGS[root]
    vision = config.nested("vision_config").with_defaults(moonvit.MOONVIT, moonvit.MOONSHOT)
    encoder, merge = moonvit.tower(vision, eye, names), moonvit.merge_of(vision)
    model = component_of(CausalLM, decided_text_config(config), decoder, "deepseek_v3")
    if root == "as transformers saves it":
        # 5.23 writes the layers of both models as blocks.
        blocks = tuple(replace(repeat, name="blocks") for repeat in model.decoder.blocks)
        model = replace(model, decoder=replace(model.decoder, blocks=blocks))
    width = vision["hidden_size"]
    if config["projection_hidden_size"] != width:
        raise config.error(f"projection_hidden_size is not the vision encoder's hidden_size, {width:,}")
    outputs, eps = model.decoder.embedding.width, config["projection_layer_norm_eps"]
    return VisionLanguage(
        eye=PatchEye(tower=encoder, bridge=moonvit.merger(bridge, width, outputs, merge, parts, eps=eps), merge=merge),
        language=Group(name=language, parts=(model,)),
        image_token=int(config["image_token_id"]),
        other_tokens=((int(config["video_token_id"]), "a video"),),
        refused=moonvit.unsquare(vision),
    )
