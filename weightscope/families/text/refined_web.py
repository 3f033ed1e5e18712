"""Falcon as first published: RefinedWeb (40B) and RefinedWebModel (7B, RW-1B). Source: `RWConfig` of either."""

from __future__ import annotations

from weightscope.components.decoder import CausalLM
from weightscope.config import Config
from weightscope.families.registry import family
from weightscope.families.text.falcon import FALCON, falcon

RW = FALCON | {
    "vocab_size": 250880,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 8,
    "new_decoder_architecture": True,
}
RW_MODEL = RW | {"new_decoder_architecture": False, "multi_query": False, "parallel_attn": False}
ALIASES = {
    "hidden_size": "n_embed",
    "num_hidden_layers": "n_layer",
    "num_attention_heads": "n_head",
    "num_kv_heads": "n_head_kv",
}


@family("RefinedWeb", roots=("transformer", ""), defaults=RW, aliases=ALIASES)
@family("RefinedWebModel", roots=("transformer", ""), defaults=RW_MODEL, aliases=ALIASES)
def refined_web(config: Config, root: str) -> CausalLM:
    """The type says what `new_decoder_architecture` says in falcon; the keys are BLOOM's."""
    return falcon(config, root)
