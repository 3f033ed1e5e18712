"""M2M-100 (arXiv 2010.11125) and NLLB (arXiv 2207.04672). Source: `M2M100Config` of transformers."""

from __future__ import annotations

from weightscope.components.seq2seq import EncoderDecoder
from weightscope.components.sinusoids import Sinusoids
from weightscope.config import Config, Nullable
from weightscope.families.common.sinusoids import sinusoids
from weightscope.families.registry import family
from weightscope.families.siblings.bart import BART, NAMES, NEEDS, Kind
from weightscope.families.siblings.bart_model import ROOTS, halves_of, whole

M2M_100 = BART | {
    "vocab_size": 128112, "activation_function": "relu", "scale_embedding": True, "pad_token_id": Nullable(int, 1),
}  # fmt: skip


@family("m2m_100", roots=ROOTS, defaults=M2M_100, attribute_map=NAMES, needs=NEEDS)
def m2m_100(config: Config, root: str) -> EncoderDecoder:
    """Norms act before, and once more after the last layer; positions count from the padding token's number on."""
    if config.task not in ("", "ConditionalGeneration"):
        raise config.undeclared(f"the head of {config.architecture} is not declared")
    return whole(
        config,
        halves_of(config, root, Kind(before=True, positions=positions)),
        start=config["decoder_start_token_id"],
        padding=config["pad_token_id"],
        biased=False,
    )


def positions(config: Config) -> Sinusoids:
    """Sines and cosines of any position."""
    return sinusoids(config, config["max_position_embeddings"])
