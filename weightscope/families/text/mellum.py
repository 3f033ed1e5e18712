"""Mellum 2 (JetBrains 2026): Qwen3-MoE with a window and a rotation by kind of layer. Source: `MellumConfig`."""

from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import LLAMA, Dims, causal_lm, rms_norms, visible
from weightscope.families.common.ahead import joint_ahead
from weightscope.families.common.layer_types import FULL, MIXTURES, SLIDING, SPARSE, layer_types
from weightscope.families.common.mixtures import ROOTS, spelling
from weightscope.families.common.parts import four_projections, gated_mlp, head_norms, pre_norm_block, self_attention
from weightscope.families.registry import family
from weightscope.families.siblings.laguna import rope_of
from weightscope.families.siblings.qwen_moe import routed_mixture
from weightscope.roles import Role

MELLUM = LLAMA | {
    "vocab_size": 98304, "hidden_size": 2304, "intermediate_size": 7168, "num_hidden_layers": 28, "head_dim": 128,
    "num_key_value_heads": 4, "max_position_embeddings": 131072, "sliding_window": Nullable(int, 1024),
    "layer_types": Nullable(list), "mlp_layer_types": Nullable(list),
    "moe_intermediate_size": 896, "num_experts": 64, "num_experts_per_tok": 8, "norm_topk_prob": True,
    "num_mtp_layers": Nullable(int), "mtp_mlp_layer_types": Nullable(list),
}  # fmt: skip
# The names that the class saves its keys under; it takes them last, so they win.
ATTRIBUTES = {"num_local_experts": "num_experts", "num_nextn_predict_layers": "num_mtp_layers"}
ROPES = {FULL: {"rope_theta": 500000.0}, SLIDING: {"rope_theta": 10000.0}}


@family("mellum", roots=ROOTS, defaults=MELLUM, attribute_map=ATTRIBUTES)
def mellum(config: Config, root: str) -> CausalLM:
    """All layers see everything and are mixed, unless lists say otherwise; what predicts ahead has a window."""
    s, norm, (prefix, stacked) = Dims.of(config), rms_norms(config["rms_norm_eps"]), spelling(root)
    kinds, bias = layer_types(config, lambda _: FULL), config["attention_bias"]
    fed = layer_types(config, lambda _: SPARSE, key="mlp_layer_types", known=MIXTURES)
    mixed, dense = routed_mixture(config, normalize=config["norm_topk_prob"], stacked=stacked), gated_mlp(config, "mlp")

    def block(kind: str, feeds: str) -> Block:
        attention = self_attention(
            s,
            four_projections(qkv_bias=bias, o_bias=bias),
            norms=head_norms(norm, s.head_dim),
            positions=rope_of(config, int(s.head_dim), kind, ROPES),
            sees=visible(config, config["sliding_window"] if kind == SLIDING else None),
        )
        return pre_norm_block(norm, s.width, attention=attention, feed_forward=mixed if feeds == SPARSE else dense)

    count, feeds = int(config["num_mtp_layers"] or 0), (config["mtp_mlp_layer_types"] or [SPARSE])[0]
    return causal_lm(
        config,
        prefix,
        lambda i: block(kinds[i], fed[i]),
        final_norm=norm("norm", Role.FINAL_NORM, s.width),
        extras=joint_ahead(norm, s.width, block(SLIDING, feeds), count) if count else (),
    )
