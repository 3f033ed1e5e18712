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
from weightscope.families.common.multimodal import tied_text
from weightscope.families.common.refusals import not_computed
from weightscope.families.registry import component_of, family
from weightscope.families.siblings.moonvit import HELD, MOONSHOT, MOONVIT, PUBLISHED, SAVED, merge_of, merger, tower

KIMI: dict[str, Any] = {
    "projection_hidden_size": Nullable(int, 1152), "projection_layer_norm_eps": 1e-5, "image_token_id": 163605,
    "video_token_id": 163840, "vision_start_token_id": 163602, "vision_end_token_id": 163604,
    "tie_word_embeddings": True, "architectures": Nullable(list),
}  # fmt: skip
VISION = MOONVIT | {"merge_type": "sd2_tpool", "pos_emb_type": "divided_fixed", "video_attn_type": "spatial_temporal"}
# What a root stands for: the language model and its decoder within it, the tower and its names, the projector's parts.
SPELLINGS = {
    "as published": (
        "language_model", "model", "vision_tower", PUBLISHED, "mm_projector", ("pre_norm", "proj.0", "proj.2"),
    ),
    "as transformers saves it": (
        "language_model", "model", "vision_tower", SAVED,
        "", ("model.mm_projector.pre_norm", "mm_projector.proj.0", "mm_projector.proj.2"),
    ),
    "as transformers holds it": (
        "", WITHIN, "model.vision_tower", HELD, "model.mm_projector", ("pre_norm", "in_proj", "out_proj"),
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
    """The projector's norm is as wide as the tower, which `projection_hidden_size` repeats."""
    language, decoder, eye, names, bridge, parts = SPELLINGS[root]
    vision = config.nested("vision_config").with_defaults(VISION, MOONSHOT)
    encoder, merge = tower(vision, eye, names), merge_of(vision)
    model = component_of(tied_text(config), decoder, "deepseek_v3")
    if not isinstance(model, CausalLM):
        raise config.undeclared("Kimi K2.5 with this text_config is not declared")
    if root == "as transformers saves it":
        # 5.23 writes the layers of both models as blocks.
        blocks = tuple(replace(repeat, name="blocks") for repeat in model.decoder.blocks)
        model = replace(model, decoder=replace(model.decoder, blocks=blocks))
    width = vision["hidden_size"]
    return VisionLanguage(
        eye=PatchEye(
            tower=encoder,
            bridge=merger(
                bridge,
                width,
                model.decoder.embedding.width,
                merge,
                parts,
                eps=config["projection_layer_norm_eps"],
            ),
            merge=merge,
        ),
        language=Group(name=language, parts=(model,)),
        image_token=int(config["image_token_id"]),
        other_tokens=((int(config["video_token_id"]), "a video"),),
        refused=not_computed(vision, "MoonViT", {"pos_emb_height": vision["pos_emb_width"]}),
    )
