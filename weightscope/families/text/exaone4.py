"""EXAONE 4.0 (arXiv 2507.11407): norms after each half, no rotation without a window. Source: `Exaone4Config`."""

from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import LLAMA, Dims, causal_lm, rms_norms, rotary, visible
from weightscope.families.common.layer_types import SLIDING, window_pattern
from weightscope.families.common.parts import four_projections, gated_mlp, head_norms, self_attention
from weightscope.families.registry import family
from weightscope.roles import Role

EXAONE4 = LLAMA | {
    "vocab_size": 102400, "intermediate_size": 16384, "num_key_value_heads": 32, "rms_norm_eps": 1e-5,
    "sliding_window": Nullable(int, 4096), "sliding_window_pattern": Nullable(object, 4), "layer_types": Nullable(list),
}  # fmt: skip


@family("exaone4", roots=("model", ""), defaults=EXAONE4)
def exaone4(config: Config, root: str) -> CausalLM:
    """Each head's query and key are normed; one layer in four sees everything."""
    s, norm = Dims.of(config), rms_norms(config["rms_norm_eps"])
    rope, window, kinds = rotary(config, s.head_dim), config["sliding_window"], window_pattern(config)

    def layer(i: int) -> Block:
        slides = window is not None and kinds[i] == SLIDING
        return Block(
            input_norm=None,
            attention=self_attention(
                s,
                four_projections(),
                norms=head_norms(norm, s.head_dim),
                positions=rope if slides or window is None else None,
                sees=visible(config, window if slides else None),
            ),
            attention_out_norm=norm("post_attention_layernorm", Role.POST_ATTENTION_NORM, s.width),
            feed_forward_norm=None,
            feed_forward=gated_mlp(config, "mlp"),
            feed_forward_out_norm=norm("post_feedforward_layernorm", Role.POST_FEEDFORWARD_NORM, s.width),
        )

    return causal_lm(config, root, layer, final_norm=norm("norm", Role.FINAL_NORM, s.width))
