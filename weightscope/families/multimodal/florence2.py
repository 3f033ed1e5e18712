"""Florence-2 (arXiv 2311.06242): DaViT's tower before BART. Source: `Florence2Config` of transformers.

Microsoft's own configs have other keys of the tower: `dim_embed`, and objects for its positions.
"""

from __future__ import annotations

from typing import Any

from weightscope.components.base import Group
from weightscope.components.embedding import Head
from weightscope.components.sense import Frame
from weightscope.components.seq2seq import EncoderDecoder
from weightscope.components.vision.seeing_seq2seq import SeeingEncoderDecoder
from weightscope.config import Config, Nullable
from weightscope.families.common.multimodal import part
from weightscope.families.common.refusals import not_computed
from weightscope.families.registry import family
from weightscope.families.siblings.bart import BART, NAMES, Kind, learned
from weightscope.families.siblings.bart_model import halves_of
from weightscope.families.siblings.davit import END, HELD, PUBLISHED, davit_eye, is_first, vision_of
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.plain import Buffer

FLORENCE: dict[str, Any] = {"image_token_id": 51289, "tie_word_embeddings": True, "architectures": Nullable(list)}
TEXT: dict[str, Any] = BART | {"bos_token_id": Nullable(int, 0)}
# What a root stands for: the language model's prefix, that of both its stacks, and the names of tower and bridge.
BY_CONFIG = "as its config says"
SPELLINGS = {
    "as transformers 5 saves it": ("", "model.language_model", HELD),
    "as published": ("language_model", "model", PUBLISHED),
}


@family("florence2", roots=(BY_CONFIG, *SPELLINGS), defaults=FLORENCE, needs=("text_config", "vision_config"))
def florence2(config: Config, root: str) -> SeeingEncoderDecoder:
    """The whole decides whether the head is tied, the text whether its stacks share a table."""
    if root == BY_CONFIG:
        root = "as published" if is_first(config) else "as transformers 5 saves it"
    language, stacks, spelling = SPELLINGS[root]
    text = part(config, "text_config", TEXT, NAMES)
    if text.model_type not in ("", "bart", "florence2_language"):
        raise config.undeclared(f"Florence-2 with a text_config of model_type {text.model_type!r:.60} is not declared")
    halves = halves_of(text, stacks, Kind(before=False, positions=learned(2), normed=True))
    rows, start, begin = text["vocab_size"], text["decoder_start_token_id"], text["bos_token_id"]
    head = Head(name="lm_head", vocabulary=rows, width=text["d_model"], tied=config["tie_word_embeddings"])
    pair = EncoderDecoder(
        halves=halves,
        head=None if config.is_base_model else head,
        start=None if start is None else int(start),
        refused=not_computed(text, "Florence-2", {"is_causal": None, "tie_word_embeddings": True}),
        buffers=(Buffer("final_logits_bias", Role.LOGIT_BIAS, (Size(1), rows)),) if language else (),
    )
    return SeeingEncoderDecoder(
        eye=davit_eye(vision_of(config), spelling),
        language=Group(name=language, parts=(pair,)),
        image_token=int(config["image_token_id"]),
        frame=None if begin is None else Frame(begin=int(begin), end=END),
    )
