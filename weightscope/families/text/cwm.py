"""CWM (Meta 2025, arXiv 2510.02387): Llama with a window in three layers of four. Source: `CwmConfig`."""

from typing import Any

from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import LLAMA, Dims, causal_lm, rms_norms, rotary, visible
from weightscope.families.common.layer_types import FULL, SLIDING, layer_types
from weightscope.families.common.parts import four_projections, gated_mlp, pre_norm_block, self_attention
from weightscope.families.registry import family
from weightscope.roles import Role

LLAMA3: dict[str, Any] = {
    "rope_type": "llama3", "rope_theta": 1000000.0, "factor": 16.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
    "original_max_position_embeddings": 8192,
}  # fmt: skip
CWM = LLAMA | {
    "vocab_size": 128256, "hidden_size": 6144, "intermediate_size": 21504, "num_hidden_layers": 64,
    "num_attention_heads": 48, "num_key_value_heads": 8, "head_dim": 128, "max_position_embeddings": 131072,
    "rms_norm_eps": 1e-5, "rope_theta": 1000000.0, "rope_parameters": Nullable(dict, LLAMA3, fills=True),
    "sliding_window": 8192, "layer_types": Nullable(list),
}  # fmt: skip


@family("cwm", roots=("model", ""), defaults=CWM)
def cwm(config: Config, root: str) -> CausalLM:
    """Every fourth layer, from the first, sees everything; no projection has a bias."""
    s, norm, rope = Dims.of(config), rms_norms(config["rms_norm_eps"]), rotary(config, Dims.of(config).head_dim)
    kinds = layer_types(config, lambda i: SLIDING if i % 4 else FULL)
    mlp = gated_mlp(config, "mlp", bias=config["mlp_bias"])

    def layer(i: int) -> Block:
        window = config["sliding_window"] if kinds[i] == SLIDING else None
        attention = self_attention(s, four_projections(), positions=rope, sees=visible(config, window))
        return pre_norm_block(norm, s.width, attention=attention, feed_forward=mlp)

    return causal_lm(config, root, layer, final_norm=norm("norm", Role.FINAL_NORM, s.width))
