"""Ovis 2 (arXiv 2405.20797): an image's vectors are mixtures of a table of visual words, before Qwen2.

Source: `Ovis2Config` of transformers.
"""

from __future__ import annotations

from typing import Any

from weightscope.components.base import Group
from weightscope.components.decoder import CausalLM
from weightscope.components.vision.language import VisionLanguage
from weightscope.components.vision.words_eye import WordsEye
from weightscope.config import Config, Nullable
from weightscope.families.common.multimodal import decided_text_config
from weightscope.families.common.refusals import not_computed
from weightscope.families.common.spellings import Spelling
from weightscope.families.registry import component_of, family
from weightscope.families.siblings.ovis import VISION, ovis_encoder, visual_words

OVIS2: dict[str, Any] = {
    "image_token_id": 151665, "visual_indicator_token_ids": [151666, 151667, 151668, 151669, 151670],
    "hidden_size": 1536, "vocab_size": 151643, "tie_word_embeddings": Nullable(bool, True),
    "architectures": Nullable(list),
}  # fmt: skip
SPELLINGS = {
    "as published": Spelling("", "model.language_model", "model.vision_tower", "model"),
}


@family("ovis2", roots=tuple(SPELLINGS), defaults=OVIS2, needs=("text_config", "vision_config"))
def ovis2(config: Config, root: str) -> VisionLanguage:
    """The tokens around tiles have vectors of the same table, while there is an image."""
    spelling = SPELLINGS[root]
    vision = config.nested("vision_config").with_defaults(VISION)
    tower = ovis_encoder(vision, f"{spelling.tower}.transformer")
    model = component_of(CausalLM, decided_text_config(config), spelling.decoder, "qwen2")
    table = model.decoder.embedding
    if not config["tie_word_embeddings"] and (config["vocab_size"], config["hidden_size"]) != (table.rows, table.width):
        raise config.undeclared("Ovis 2 with another vocab_size or hidden_size than its text_config's is not declared")
    marks = config["visual_indicator_token_ids"]
    if not all(type(mark) is int and mark >= 0 for mark in marks):
        raise config.error("visual_indicator_token_ids is not a list of token ids")
    words = visual_words(vision, spelling, tower, config["hidden_size"])
    return VisionLanguage(
        eye=WordsEye(tower=tower, bridge=words, each=words.each, normed=True, marks=tuple(marks)),
        language=Group(name=spelling.language, parts=(model,)),
        image_token=int(config["image_token_id"]),
        written="<image>",
        # Where squares do not cover a crop, transformers pads otherwise than AIDC's own code does.
        refused="Ovis 2 with a hidden_stride that does not divide image_size / patch_size"
        if words.side % words.stride
        else not_computed(vision, "Ovis 2", {"tokenize_function": ("softmax", "st_argmax")}),
    )
