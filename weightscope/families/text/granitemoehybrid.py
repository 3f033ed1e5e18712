"""Granite 4 (IBM 2025): Mamba-2 among attention, a shared MLP beside the mixture. Source: `GraniteMoeHybridConfig`."""

from weightscope.components.base import Component
from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import GRANITE, Dims, rotary, visible
from weightscope.families.common.layer_types import FULL, LINEAR, MIXERS, layer_types
from weightscope.families.common.mixtures import ROOTS, SWITCHED, spelling
from weightscope.families.common.parts import gated_mlp
from weightscope.families.registry import family
from weightscope.families.siblings.granite import granite_mixture, granite_mlp
from weightscope.families.siblings.granite_scaled import granite_attention, granite_block, granite_lm
from weightscope.families.siblings.state_space import MAMBA2_HYBRID, gate_first, mamba2_mixer

GRANITEMOEHYBRID = GRANITE | MAMBA2_HYBRID | {
    "rms_norm_eps": 1e-6, "vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 11008,
    "num_key_value_heads": Nullable(int), "num_local_experts": 8, "num_experts_per_tok": 2,
    "shared_intermediate_size": 1024, "position_embedding_type": Nullable(str), "layer_types": Nullable(list),
}  # fmt: skip


@family("granitemoehybrid", roots=ROOTS, defaults=GRANITEMOEHYBRID, attribute_map={"layers_block_type": "layer_types"})
def granitemoehybrid(config: Config, root: str) -> CausalLM:
    """A shared MLP in every layer, beside a mixture where there are experts; no positions unless they rotate."""
    s, (prefix, stacked), shared = Dims.of(config), spelling(root), config["shared_intermediate_size"]
    rope = rotary(config, s.head_dim) if config["position_embedding_type"] == "rope" else None
    attention = granite_attention(config, s, positions=rope, sees=visible(config))
    kinds, mamba = layer_types(config, lambda _: LINEAR, known=MIXERS), mamba2_mixer(config, norm=gate_first(config))
    if config["num_local_experts"]:
        mlp: Component = granite_mixture(config, shared, stacked=stacked)
    else:
        # MLX's converter takes gate and up apart where there are no experts.
        mlp = gated_mlp(config, "mlp", inner=shared) if root == SWITCHED else granite_mlp(config, shared)

    def layer(i: int) -> Block:
        return granite_block(config, s, attention=attention if kinds[i] == FULL else mamba, feed_forward=mlp)

    return granite_lm(config, prefix, s, layer)
