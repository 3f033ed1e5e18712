"""Marian (arXiv 1804.00344), which translates between two languages. Source: `MarianConfig` of transformers."""

from __future__ import annotations

from weightscope.components.decoder import CausalLM
from weightscope.components.seq2seq import EncoderDecoder
from weightscope.config import Config, Nullable
from weightscope.families.registry import family
from weightscope.families.siblings.bart import BART, NAMES, NEEDS, Kind, fixed
from weightscope.families.siblings.bart_model import ROOTS, apart, decoder_alone, halves_of, whole

MARIAN = BART | {
    "eos_token_id": Nullable(object, 0),
    "vocab_size": 58101, "decoder_vocab_size": Nullable(int), "decoder_start_token_id": 58100,
    "share_encoder_decoder_embeddings": True,
}  # fmt: skip
KIND = Kind(before=False, positions=fixed)


@family("marian", roots=ROOTS, defaults=MARIAN, attribute_map=NAMES, needs=NEEDS)
def marian(config: Config, root: str) -> EncoderDecoder | CausalLM:
    """Norms act after the sums; each language may have a table of its own."""
    written = config["decoder_vocab_size"] or config["vocab_size"]
    if config.task == "CausalLM":
        return decoder_alone(config, root, KIND, written=written)
    if config["share_encoder_decoder_embeddings"]:
        halves = halves_of(config, root, KIND)
    else:
        halves = apart(config, root.partition(", ")[0], KIND, written=written)
    return whole(config, halves, start=config["decoder_start_token_id"])
