"""PEGASUS (arXiv 1912.08777): mBART's layers and fixed positions. Source: `PegasusConfig` of transformers."""

from __future__ import annotations

from weightscope.components.decoder import CausalLM
from weightscope.components.seq2seq import EncoderDecoder
from weightscope.config import Config, Nullable
from weightscope.families.registry import family
from weightscope.families.siblings.bart import BART, NAMES, NEEDS, Kind, fixed
from weightscope.families.siblings.bart_model import ROOTS, decoder_alone, halves_of, whole

PEGASUS = BART | {"eos_token_id": Nullable(object, 1), "decoder_start_token_id": Nullable(int, 0)}
KIND = Kind(before=True, positions=fixed)


@family("pegasus", roots=ROOTS, defaults=PEGASUS, attribute_map=NAMES, needs=NEEDS)
def pegasus(config: Config, root: str) -> EncoderDecoder | CausalLM:
    """Norms act before, and once more after the last layer."""
    if config.task == "CausalLM":
        return decoder_alone(config, root, KIND)
    return whole(config, halves_of(config, root, KIND), start=config["decoder_start_token_id"])
