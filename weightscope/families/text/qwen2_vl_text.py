"""The language model of Qwen2-VL and Qwen2.5-VL: Qwen2 with positions in three axes (arXiv 2409.12191).

Sources: `Qwen2VLTextConfig` and `Qwen2_5_VLTextConfig` of transformers.
"""

from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config
from weightscope.families.common import QWEN2, Dims, causal_lm, rms_norms, rotary, visible
from weightscope.families.common.layer_types import upper_windows
from weightscope.families.common.parts import four_projections, gated_mlp, pre_norm_block, self_attention
from weightscope.families.registry import family
from weightscope.roles import Role

QWEN2_VL = QWEN2 | {
    "vocab_size": 152064, "hidden_size": 8192, "intermediate_size": 29568, "num_hidden_layers": 80,
    "num_attention_heads": 64, "num_key_value_heads": 8, "rms_norm_eps": 1e-5, "max_window_layers": 80,
    "rope_theta": 1000000.0,
}  # fmt: skip
ROOTS = ("model", "", "model.language_model")


@family("qwen2_5_vl_text", roots=ROOTS, defaults=QWEN2_VL)
@family("qwen2_vl_text", roots=ROOTS, defaults=QWEN2_VL)
def qwen2_vl_text(config: Config, root: str) -> CausalLM:
    """With `use_sliding_window`, the layers from `max_window_layers` up see only a window."""
    s, norm = Dims.of(config), rms_norms(config["rms_norm_eps"])
    rope, windows = rotary(config, s.head_dim, sections=(16, 24, 24)), upper_windows(config)

    def layer(i: int) -> Block:
        attention = self_attention(s, four_projections(qkv_bias=True), positions=rope, sees=visible(config, windows[i]))
        return pre_norm_block(norm, s.width, attention=attention, feed_forward=gated_mlp(config, "mlp"))

    return causal_lm(config, root, layer, final_norm=norm("norm", Role.FINAL_NORM, s.width))
