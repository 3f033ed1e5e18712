"""dots.llm1 (rednote 2025, arXiv 2506.05767): Qwen3's attention over DeepSeek-V3's mixture. Source: `Dots1Config`."""

from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import LLAMA, Dims, causal_lm, rms_norms, rotary, visible
from weightscope.families.common.layer_types import FULL, SLIDING, layer_types
from weightscope.families.common.mixtures import PLACED_ROOTS, spelling
from weightscope.families.common.parts import four_projections, gated_mlp, head_norms, pre_norm_block, self_attention
from weightscope.families.registry import DECODER_NEEDS, family
from weightscope.families.siblings.deepseek import deepseek_mixture, first_dense
from weightscope.roles import Role

DOTS1 = LLAMA | {
    "vocab_size": 152064, "hidden_size": 4608, "intermediate_size": 10944, "moe_intermediate_size": 1408,
    "num_hidden_layers": 62, "num_key_value_heads": Nullable(int, 32), "n_shared_experts": 0, "n_routed_experts": 0,
    "num_experts_per_tok": 0, "n_group": Nullable(int, 1), "topk_group": Nullable(int, 1),
    "first_k_dense_replace": Nullable(int, 0), "norm_topk_prob": Nullable(bool, False), "routed_scaling_factor": 1.0,
    "sliding_window": Nullable(int, 4096), "max_window_layers": Nullable(int, 62), "layer_types": Nullable(list),
}  # fmt: skip
ATTRIBUTES = {"num_local_experts": "n_routed_experts"}
# The class has no number of experts to fall back on.
NEEDS = (*DECODER_NEEDS, "n_routed_experts", "n_shared_experts", "num_experts_per_tok")


@family("dots1", roots=PLACED_ROOTS, defaults=DOTS1, attribute_map=ATTRIBUTES, needs=NEEDS)
def dots1(config: Config, root: str) -> CausalLM:
    """A window from layer `max_window_layers` up, if there is one; the first layers are dense."""
    s, norm, (prefix, stacked) = Dims.of(config), rms_norms(config["rms_norm_eps"]), spelling(root)
    window, first = config["sliding_window"], config["max_window_layers"] or 0
    kinds = layer_types(config, lambda i: FULL if window is None or i < first else SLIDING)
    rope, bias = rotary(config, s.head_dim), config["attention_bias"]
    mixed = deepseek_mixture(config, stacked=stacked)
    dense, mixes = gated_mlp(config, "mlp"), first_dense(config)

    def layer(i: int) -> Block:
        attention = self_attention(
            s,
            four_projections(qkv_bias=bias, o_bias=bias),
            norms=head_norms(norm, s.head_dim),
            positions=rope,
            sees=visible(config, window if kinds[i] == SLIDING else None),
        )
        return pre_norm_block(norm, s.width, attention=attention, feed_forward=mixed if mixes[i] else dense)

    return causal_lm(config, prefix, layer, final_norm=norm("norm", Role.FINAL_NORM, s.width))
