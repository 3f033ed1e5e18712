"""Bamba (IBM and others, 2024): Mamba-2 with attention in a few layers. Source: `BambaConfig` of transformers."""

from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import Dims, causal_lm, rms_norms, rotary, visible
from weightscope.families.common.parts import four_projections, gated_mlp, self_attention
from weightscope.families.common.refusals import not_computed
from weightscope.families.registry import family
from weightscope.families.siblings.state_space import MAMBA2_HYBRID, gate_first, mamba2_mixer
from weightscope.roles import Role

BAMBA = MAMBA2_HYBRID | {
    "max_position_embeddings": 262144,
    "partial_rotary_factor": 0.5,
    "attn_layer_indices": Nullable(list),
}


@family("bamba", roots=("model", ""), defaults=BAMBA)
def bamba(config: Config, root: str) -> CausalLM:
    """The layers of `attn_layer_indices` attend."""
    s, norm, bias = Dims.of(config), rms_norms(config["rms_norm_eps"]), config["attention_bias"]
    attention = self_attention(
        s,
        four_projections(qkv_bias=bias, o_bias=bias),
        positions=rotary(config, s.head_dim),
        sees=visible(config),
    )
    attends, mamba = config["attn_layer_indices"] or (), mamba2_mixer(config, norm=gate_first(config))

    def layer(i: int) -> Block:
        return Block(
            input_norm=norm("input_layernorm", Role.INPUT_NORM, s.width),
            attention=attention if i in attends else mamba,
            feed_forward_norm=norm("pre_ff_layernorm", Role.PRE_FEEDFORWARD_NORM, s.width),
            feed_forward=gated_mlp(config, "feed_forward", bias=config["mlp_bias"]),
        )

    # The class overrides the key.
    refused = not_computed(config, "Bamba", {"partial_rotary_factor": 0.5})
    return causal_lm(config, root, layer, final_norm=norm("final_layernorm", Role.FINAL_NORM, s.width), refused=refused)
