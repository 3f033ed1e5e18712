"""Qwen3-MoE (arXiv 2505.09388): norms of each head, and no shared expert. Source: `Qwen3MoeConfig` of transformers."""

from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import Dims, causal_lm, rms_norms, rotary, visible
from weightscope.families.common.mixtures import ROOTS, spelling
from weightscope.families.common.parts import four_projections, gated_mlp, head_norms, pre_norm_block, self_attention
from weightscope.families.registry import family
from weightscope.families.siblings.qwen_moe import QWEN2_MOE, every_so_often, routed_mixture
from weightscope.roles import Role

QWEN3_MOE = QWEN2_MOE | {
    "intermediate_size": 6144, "num_attention_heads": 32, "num_key_value_heads": 4, "head_dim": Nullable(int),
    "moe_intermediate_size": 768, "num_experts": 128, "num_experts_per_tok": 8,
}  # fmt: skip


@family("qwen3_moe", roots=ROOTS, defaults=QWEN3_MOE, attribute_map={"num_local_experts": "num_experts"})
def qwen3_moe(config: Config, root: str) -> CausalLM:
    """A window is every layer's, with `use_sliding_window`; each so many layers are mixed."""
    s, norm, (prefix, stacked) = Dims.of(config), rms_norms(config["rms_norm_eps"]), spelling(root)
    bias, mixes = config["attention_bias"], every_so_often(config)
    attention = self_attention(
        s,
        four_projections(qkv_bias=bias, o_bias=bias),
        norms=head_norms(norm, s.head_dim),
        positions=rotary(config, s.head_dim),
        sees=visible(config, config["sliding_window"] if config["use_sliding_window"] else None),
    )
    mixed = routed_mixture(config, normalize=config["norm_topk_prob"], stacked=stacked)

    def layer(i: int) -> Block:
        feed_forward = mixed if mixes(i) else gated_mlp(config, "mlp")
        return pre_norm_block(norm, s.width, attention=attention, feed_forward=feed_forward)

    return causal_lm(config, prefix, layer, final_norm=norm("norm", Role.FINAL_NORM, s.width))
