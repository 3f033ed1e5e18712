"""Qwen2 (arXiv 2407.10671): Llama with biases on queries, keys and values. Source: `Qwen2Config` of transformers."""

from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config
from weightscope.families.common import QWEN2, Dims, causal_lm, rms_norms, rotary, visible
from weightscope.families.common.layer_types import upper_windows
from weightscope.families.common.parts import four_projections, gated_mlp, pre_norm_block, self_attention
from weightscope.families.registry import family
from weightscope.roles import Role


@family("qwen2", roots=("model", ""), defaults=QWEN2)
def qwen2(config: Config, root: str) -> CausalLM:
    """With `use_sliding_window`, the layers from `max_window_layers` up see only a window."""
    s, norm = Dims.of(config), rms_norms(config["rms_norm_eps"])

    def layer(i: int) -> Block:
        attention = self_attention(s, four_projections(qkv_bias=True), positions=rope, sees=visible(config, windows[i]))
        return pre_norm_block(norm, s.width, attention=attention, feed_forward=gated_mlp(config, "mlp"))

    rope, windows = rotary(config, s.head_dim), upper_windows(config)
    return causal_lm(config, root, layer, final_norm=norm("norm", Role.FINAL_NORM, s.width))
