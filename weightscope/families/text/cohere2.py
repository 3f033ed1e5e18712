"""Command R7B (Cohere 2024): three layers with a window and rotation, then one with neither."""

from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import COHERE, Dims, Output, causal_lm, layer_norms, rotary, visible
from weightscope.families.common.layer_types import FULL, SLIDING, layer_types
from weightscope.families.common.parts import four_projections, gated_mlp, self_attention
from weightscope.families.registry import family
from weightscope.roles import Role

COHERE2 = COHERE | {
    "rope_theta": 10000.0, "sliding_window": Nullable(int, 4096), "sliding_window_pattern": Nullable(int, 4),
    "layer_types": Nullable(list),
}  # fmt: skip


@family("cohere2", roots=("model", ""), defaults=COHERE2)
def cohere2(config: Config, root: str) -> CausalLM:
    """Attention beside the MLP, after one layer norm without bias."""
    s, norm, bias = Dims.of(config), layer_norms(config["layer_norm_eps"], bias=False, wide=3), config["attention_bias"]
    rope, every = rotary(config, s.head_dim, interleaved=True, steps="converted"), config["sliding_window_pattern"]
    kinds = layer_types(config, lambda i: SLIDING if (i + 1) % every else FULL)

    def layer(i: int) -> Block:
        slides = kinds[i] == SLIDING
        return Block(
            input_norm=norm("input_layernorm", Role.INPUT_NORM, s.width),
            attention=self_attention(
                s,
                four_projections(qkv_bias=bias, o_bias=bias),
                positions=rope if slides else None,
                sees=visible(config, config["sliding_window"] if slides else None),
            ),
            feed_forward_norm=None,
            feed_forward=gated_mlp(config, "mlp"),
            parallel=True,
        )

    return causal_lm(
        config,
        root,
        layer,
        final_norm=norm("norm", Role.FINAL_NORM, s.width),
        output=Output(scale=float(config["logit_scale"])),
    )
