"""Blenderbot (arXiv 2004.13637) and its small model. Sources: their configs of transformers."""

from __future__ import annotations

from weightscope.components.decoder import CausalLM
from weightscope.components.seq2seq import EncoderDecoder
from weightscope.config import Config, Nullable
from weightscope.families.registry import family
from weightscope.families.siblings.bart import BART, NAMES, NEEDS, Kind, learned
from weightscope.families.siblings.bart_model import ROOTS, decoder_alone, halves_of, whole

BLENDERBOT = BART | {
    "vocab_size": 8008, "max_position_embeddings": 128, "encoder_layers": 2, "encoder_ffn_dim": 10240,
    "encoder_attention_heads": 32, "decoder_layers": 24, "decoder_ffn_dim": 10240, "decoder_attention_heads": 32,
    "d_model": 2560, "decoder_start_token_id": 1,
}  # fmt: skip
SMALL = BART | {
    "max_position_embeddings": 512, "encoder_layers": 8, "encoder_ffn_dim": 2048, "decoder_layers": 8,
    "decoder_ffn_dim": 2048, "d_model": 512, "decoder_start_token_id": Nullable(int, 1),
}  # fmt: skip
BEFORE = Kind(before=True, positions=learned())
AFTER = Kind(before=False, positions=learned(), normed=True, norms_tokens=True)


@family("blenderbot", roots=ROOTS, defaults=BLENDERBOT, attribute_map=NAMES, needs=NEEDS)
def blenderbot(config: Config, root: str) -> EncoderDecoder | CausalLM:
    """Norms act before, and once more after the last layer."""
    if config.task == "CausalLM":
        return decoder_alone(config, root, BEFORE)
    return whole(config, halves_of(config, root, BEFORE), start=config["decoder_start_token_id"])


@family("blenderbot-small", roots=ROOTS, defaults=SMALL, attribute_map=NAMES, needs=NEEDS)
def blenderbot_small(config: Config, root: str) -> EncoderDecoder | CausalLM:
    """Norms act after the sums; that of the decoder's embeddings before positions are added."""
    if config.task == "CausalLM":
        return decoder_alone(config, root, AFTER)
    return whole(config, halves_of(config, root, AFTER), start=config["decoder_start_token_id"])
