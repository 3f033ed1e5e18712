"""MiMo (arXiv 2505.07608): Qwen2 with layers that predict further tokens ahead. Source: `MiMoConfig`, Xiaomi's code."""

from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import QWEN2, Dims, causal_lm, rms_norms, rotary, visible
from weightscope.families.common.ahead import shared_ahead
from weightscope.families.common.layer_types import upper_windows
from weightscope.families.common.parts import four_projections, gated_mlp, pre_norm_block, self_attention
from weightscope.families.registry import family
from weightscope.roles import Role

MIMO = QWEN2 | {
    "vocab_size": 151680, "intermediate_size": 11008, "num_hidden_layers": 36, "num_key_value_heads": Nullable(int, 8),
    "num_nextn_predict_layers": Nullable(int, 1),
}  # fmt: skip


@family("mimo", roots=("model", ""), defaults=MIMO)
def mimo(config: Config, root: str) -> CausalLM:
    """A layer ahead is one more block between norms, with the embedding and the head that are there already."""
    s, norm = Dims.of(config), rms_norms(config["rms_norm_eps"])
    rope, windows = rotary(config, s.head_dim), upper_windows(config)

    def layer(i: int) -> Block:
        attention = self_attention(s, four_projections(qkv_bias=True), positions=rope, sees=visible(config, windows[i]))
        return pre_norm_block(norm, s.width, attention=attention, feed_forward=gated_mlp(config, "mlp"))

    ahead = shared_ahead(config, root, layer(0))
    return causal_lm(config, root, layer, final_norm=norm("norm", Role.FINAL_NORM, s.width), extras=ahead)
