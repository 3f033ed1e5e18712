"""Granite's mixtures: Granite with experts stacked on disk. Sources: `GraniteMoeConfig`, `GraniteMoeSharedConfig`."""

from weightscope.components.decoder import CausalLM
from weightscope.config import Config
from weightscope.families.common import GRANITE, Dims, rotary, visible
from weightscope.families.common.mixtures import ROOTS, spelling
from weightscope.families.registry import family
from weightscope.families.siblings.granite import granite_mixture
from weightscope.families.siblings.granite_scaled import granite_attention, granite_block, granite_lm

GRANITEMOE = GRANITE | {"num_local_experts": 8, "num_experts_per_tok": 2}
SHARED = GRANITEMOE | {"shared_intermediate_size": 0}


@family("granitemoe", roots=ROOTS, defaults=GRANITEMOE)
@family("granitemoeshared", roots=ROOTS, defaults=SHARED)
def granitemoe(config: Config, root: str) -> CausalLM:
    """A shared MLP lies beside the mixture, if it has any width; four numbers scale the parts."""
    s, (prefix, stacked) = Dims.of(config), spelling(root)
    shared = (config["shared_intermediate_size"] or None) if config.declares("shared_intermediate_size") else None
    attention = granite_attention(config, s, positions=rotary(config, s.head_dim), sees=visible(config))
    mixture = granite_mixture(config, shared, stacked=stacked)
    block = granite_block(config, s, attention=attention, feed_forward=mixture)
    return granite_lm(config, prefix, s, lambda _: block)
