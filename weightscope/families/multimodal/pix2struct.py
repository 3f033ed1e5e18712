"""Pix2Struct (arXiv 2210.03347): patches of an image before T5's decoder. Source: `Pix2StructConfig`."""

from __future__ import annotations

from typing import Any

from weightscope.components.embedding import Embedding, Head
from weightscope.components.halves import Halves
from weightscope.components.seq2seq import EncoderDecoder
from weightscope.config import Config, Nullable
from weightscope.families.common.multimodal import part
from weightscope.families.common.refusals import not_computed
from weightscope.families.registry import family
from weightscope.families.siblings.pix2struct import TEXT, TEXT_NAMES, VISION, decoder, encoder

PIX2STRUCT: dict[str, Any] = {"tie_word_embeddings": False, "architectures": Nullable(list)}


@family("pix2struct", roots=("",), defaults=PIX2STRUCT, needs=("text_config", "vision_config"))
def pix2struct(config: Config, root: str) -> EncoderDecoder:
    """The whole decides on tying; a question is part of the image."""
    if config.architecture not in ("", "Pix2StructForConditionalGeneration"):
        raise config.undeclared(f"{config.architecture:.80} is not declared")
    text, vision = part(config, "text_config", TEXT, TEXT_NAMES), part(config, "vision_config", VISION)
    source, rows, width = encoder(vision), text["vocab_size"], text["hidden_size"]
    if source.projection.outputs != width:
        raise config.error(
            f"the encoder puts out {source.projection.outputs:,} features (vision_config.hidden_size), but the decoder "
            f"takes {width:,} (text_config.hidden_size)"
        )
    return EncoderDecoder(
        halves=Halves(
            name=root,
            table=Embedding(name="decoder.embed_tokens", rows=rows, width=width),
            encoder=source,
            decoder=decoder(text),
        ),
        head=Head(name="decoder.lm_head", vocabulary=rows, width=width, tied=bool(config["tie_word_embeddings"])),
        start=int(text["decoder_start_token_id"]),
        refused=not_computed(text, "Pix2Struct", {"is_causal": (None, True)})
        or not_computed(vision, "Pix2Struct's encoder", {"is_causal": (None, False)}),
    )
