"""Qwen3 (arXiv 2505.09388): Qwen2 with norms of each head instead of biases. Source: `Qwen3Config` of transformers."""

from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import QWEN2, Dims, causal_lm, rms_norms, rotary, visible
from weightscope.families.common.layer_types import upper_windows
from weightscope.families.common.parts import four_projections, gated_mlp, head_norms, pre_norm_block, self_attention
from weightscope.families.registry import family
from weightscope.roles import Role


@family("qwen3", roots=("model", ""), defaults=QWEN2 | {"head_dim": Nullable(int, 128)})
def qwen3(config: Config, root: str) -> CausalLM:
    """`attention_bias` puts a bias on all four projections."""
    s, norm, bias = Dims.of(config), rms_norms(config["rms_norm_eps"]), config["attention_bias"]
    rope, windows = rotary(config, s.head_dim), upper_windows(config)

    def layer(i: int) -> Block:
        attention = self_attention(
            s,
            four_projections(qkv_bias=bias, o_bias=bias),
            norms=head_norms(norm, s.head_dim),
            positions=rope,
            sees=visible(config, windows[i]),
        )
        return pre_norm_block(norm, s.width, attention=attention, feed_forward=gated_mlp(config, "mlp"))

    return causal_lm(config, root, layer, final_norm=norm("norm", Role.FINAL_NORM, s.width))
