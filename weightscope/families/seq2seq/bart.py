"""BART (arXiv 1910.13461) and mBART (arXiv 2001.08210). Sources: `BartConfig` and `MBartConfig` of transformers."""

from __future__ import annotations

from weightscope.components.decoder import CausalLM
from weightscope.components.seq2seq import EncoderDecoder
from weightscope.config import Config, Nullable
from weightscope.families.registry import family
from weightscope.families.siblings.bart import BART, NAMES, NEEDS, Kind, learned
from weightscope.families.siblings.bart_model import ROOTS, decoder_alone, halves_of, whole

AFTER = Kind(before=False, positions=learned(2), normed=True)
BEFORE = Kind(before=True, positions=learned(2), normed=True)
MBART = BART | {"decoder_start_token_id": Nullable(int)}


@family("bart", roots=ROOTS, defaults=BART, attribute_map=NAMES, needs=NEEDS)
def bart(config: Config, root: str) -> EncoderDecoder | CausalLM:
    """Norms act after the sums."""
    if config.task == "CausalLM":
        return decoder_alone(config, root, AFTER)
    return whole(config, halves_of(config, root, AFTER), start=config["decoder_start_token_id"], echoes=True)


@family("mbart", roots=ROOTS, defaults=MBART, attribute_map=NAMES, needs=NEEDS)
def mbart(config: Config, root: str) -> EncoderDecoder | CausalLM:
    """Norms act before, and once more after the last layer; the decoder begins with a text's last token."""
    if config.task == "CausalLM":
        return decoder_alone(config, root, BEFORE)
    return whole(config, halves_of(config, root, BEFORE), start=None, echoes=True)
