"""Granite SWASH (IBM 2026): Granite with windows, sinks and a theta of each layer's own, dense or with a mixture.

Sources: `GraniteSWAConfig`, `GraniteMoeSWAConfig` of transformers.
"""

from weightscope.components.attention import Rope
from weightscope.components.base import Component
from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import GRANITE, Dims, rotary, visible
from weightscope.families.common.layer_types import FULL, SLIDING, layer_types
from weightscope.families.common.mixtures import STACK
from weightscope.families.common.parts import gated_mlp
from weightscope.families.registry import family
from weightscope.families.siblings.granite import granite_mixture
from weightscope.families.siblings.granite_scaled import granite_attention, granite_block, granite_lm

OWN = GRANITE | {
    "sliding_window": Nullable(int, 128), "layer_types": Nullable(list), "layer_rope_theta": Nullable(list),
}  # fmt: skip
GRANITE_SWA = OWN | {
    "vocab_size": 100352, "hidden_size": 2560, "intermediate_size": 8192, "num_hidden_layers": 24,
    "num_attention_heads": 20, "num_key_value_heads": Nullable(int, 4), "max_position_embeddings": 8192,
    "rms_norm_eps": 1e-5, "tie_word_embeddings": True,
}  # fmt: skip
MOE = OWN | {"num_local_experts": 8, "num_experts_per_tok": 2, "shared_intermediate_size": 0}


@family("granite_swa", roots=("model", ""), defaults=GRANITE_SWA)
def granite_swa(config: Config, root: str) -> CausalLM:
    """Every fourth layer sees everything, from the first on, unless the config lists which do."""
    return _decoder(config, root, gated_mlp(config, "mlp", bias=config["mlp_bias"]))


@family("granitemoe_swa", roots=("model", ""), defaults=MOE)
def granitemoe_swa(config: Config, root: str) -> CausalLM:
    """The same over Granite's mixture, on disk as transformers 5 holds it in memory."""
    shared = config["shared_intermediate_size"] or None
    return _decoder(config, root, granite_mixture(config, shared, stacked=STACK))


def _decoder(config: Config, root: str, feed_forward: Component) -> CausalLM:
    s = Dims.of(config)
    kinds, ropes = layer_types(config, lambda i: SLIDING if i % 4 else FULL), _ropes(config, s)

    def layer(i: int) -> Block:
        sees = visible(config, config["sliding_window"] if kinds[i] == SLIDING else None)
        attention = granite_attention(config, s, positions=ropes[i], sees=sees, sinks="sinks")
        return granite_block(config, s, attention=attention, feed_forward=feed_forward)

    return granite_lm(config, root, s, layer)


def _ropes(config: Config, s: Dims) -> list[Rope | None]:
    """The rotation of each layer; a theta of 0 is none. Of a longer list the class reads the first."""
    if (thetas := config["layer_rope_theta"]) is None:
        return [rotary(config, s.head_dim)] * s.depth
    if len(thetas) < s.depth or not all(isinstance(theta, int | float) and theta >= 0 for theta in thetas):
        raise config.error(f"layer_rope_theta does not give a theta to each of {s.depth:,} layers")
    scaling = config["rope_scaling"] or config["rope_parameters"] or {}
    each = ({**scaling, "rope_theta": theta} if theta else None for theta in thetas[: s.depth])
    return [rotary(config, s.head_dim, settings=settings) if settings else None for settings in each]
