"""HunyuanOCR (arXiv 2511.19575): images of any size, rows that end in a learned vector. Source: `HunYuanVLConfig`."""

from __future__ import annotations

from weightscope.components.base import Group
from weightscope.components.decoder import CausalLM
from weightscope.components.vision.language import VisionLanguage
from weightscope.config import Config, Nullable
from weightscope.families.common.multimodal import part, replaced
from weightscope.families.common.refusals import not_computed
from weightscope.families.registry import component_of, family
from weightscope.families.siblings.hunyuan_axes import axes_of
from weightscope.families.siblings.hunyuan_tower import VISION, VISION_NAMES, Spelling, row_eye
from weightscope.families.siblings.qwen_vl import language_config

HUNYUAN = {
    "image_token_id": 120120, "im_start_id": 120118, "im_end_id": 120119, "tie_word_embeddings": True,
    "architectures": Nullable(list),
}  # fmt: skip
TEXT, TIE = "hunyuan_vl_text", "tie_word_embeddings"
NAMED = (("layer_norm1", "layer_norm2"), ("fc1", "fc2"), ("proj_conv", "proj_out"))
# What a root stands for: names of the tower and its parts, prefixes of the language model and its decoder.
SPELLINGS = {
    "as published": (Spelling("vit", "vit.perceive"), "", "model"),
    "as transformers 5 holds it": (
        Spelling("model.vision_tower", "model.vision_tower.patch_merger", *NAMED), "", "model.language_model",
    ),
    "as MLX has it": (Spelling("vision_tower", "vision_tower.perceive"), "language_model", "model"),
}  # fmt: skip


@family("hunyuan_vl", roots=tuple(SPELLINGS), defaults=HUNYUAN, needs=("vision_config",))
def hunyuan_vl(config: Config, root: str) -> VisionLanguage:
    """The first releases have a flat config."""
    (spelling, language, decoder), vision = SPELLINGS[root], part(config, "vision_config", VISION, VISION_NAMES)
    text = language_config(config, TEXT)
    # Either of the two says so, and a nested part does where it says nothing.
    nested = config.data.get("text_config")
    tied = config[TIE] or not isinstance(nested, dict) or bool(nested.get(TIE, True))
    model = component_of(CausalLM, replaced(text, tie_word_embeddings=tied), decoder, TEXT)
    return VisionLanguage(
        eye=row_eye(vision, spelling, model.decoder.embedding.width, axes_of(model)),
        language=Group(name=language, parts=(model,)),
        image_token=int(config["image_token_id"]),
        around=((int(config["im_start_id"]),), (int(config["im_end_id"]),)),
        refused=model.refused or not_computed(vision, "Hunyuan-VL", {"interpolate_mode": "bilinear"}),
    )
