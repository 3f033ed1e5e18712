"""Laguna (Poolside 2026): a window, a rotation and a number of heads of each layer's own. Source: `LagunaConfig`."""

from typing import Any

from weightscope.components.attention import Attention
from weightscope.components.decoder import Block, CausalLM
from weightscope.components.feed_forward.moe import MixtureOfExperts
from weightscope.components.feed_forward.routing import Routing
from weightscope.config import Config, Nullable
from weightscope.families.common import LLAMA, Dims, causal_lm, rms_norms, visible
from weightscope.families.common.layer_types import DENSE, FULL, MIXTURES, SLIDING, SPARSE, layer_types
from weightscope.families.common.mixtures import ROOTS, spelling
from weightscope.families.common.parts import four_projections, gated_mlp, head_norms, pre_norm_block
from weightscope.families.common.refusals import refuse
from weightscope.families.registry import family
from weightscope.families.siblings.laguna import heads_of, rope_of
from weightscope.roles import Role
from weightscope.storage.linear import Linear

ROPES: dict[str, Any] = {
    FULL: {"rope_theta": 500000.0, "partial_rotary_factor": 0.5}, SLIDING: {"rope_theta": 10000.0},
}  # fmt: skip
LAGUNA = LLAMA | {
    "vocab_size": 100352, "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 40,
    "num_attention_heads": 48, "num_key_value_heads": 8, "head_dim": 128, "max_position_embeddings": 131072,
    "sliding_window": 512, "layer_types": Nullable(list), "mlp_layer_types": Nullable(list),
    "gating": Nullable(object, True), "num_attention_heads_per_layer": Nullable(list), "moe_intermediate_size": 512,
    "shared_expert_intermediate_size": 512, "num_experts": 256, "num_experts_per_tok": 8,
    "moe_routed_scaling_factor": 1.0, "moe_apply_router_weight_on_input": False, "moe_router_logit_softcapping": 0.0,
}  # fmt: skip
# What the shared expert and the router's correction are called.
ON_DISK = ("shared_expert", "experts.e_score_correction_bias")
IN_MEMORY = ("shared_experts", "gate.e_score_correction_bias")


@family("laguna", roots=ROOTS, defaults=LAGUNA)
def laguna(config: Config, root: str) -> CausalLM:
    """The softplus of a gate multiplies each head, or with another `gating` than true and per-head each element."""
    refuse(config, "Laguna", ("moe_apply_router_weight_on_input",))
    s, norm, (prefix, stacked) = Dims.of(config), rms_norms(config["rms_norm_eps"]), spelling(root)
    kinds, heads, bias = layer_types(config, lambda _: FULL), heads_of(config, s), config["attention_bias"]
    fed = layer_types(config, lambda i: SPARSE if i else DENSE, key="mlp_layer_types", known=MIXTURES)
    projections = (*four_projections(qkv_bias=bias, o_bias=bias), Linear("g_proj", Role.ATTENTION_GATE))
    names = IN_MEMORY if stacked else ON_DISK
    mixed = MixtureOfExperts(
        name="mlp",
        width=s.width,
        experts=config["num_experts"],
        chosen=config["num_experts_per_tok"],
        expert=gated_mlp(config, "", inner=config["moe_intermediate_size"]),
        routing=Routing(
            score="sigmoid",
            cap=max(0.0, float(config["moe_router_logit_softcapping"])),
            scale=float(config["moe_routed_scaling_factor"]),
        ),
        shared=gated_mlp(config, names[0], inner=config["shared_expert_intermediate_size"]),
        correction=names[1],
        correction_kind="parameter",
        stacked=stacked,
    )

    def layer(i: int) -> Block:
        attention = Attention(
            name="self_attn",
            projections=projections,
            width=s.width,
            heads=heads[i],
            norms=head_norms(norm, s.head_dim),
            positions=rope_of(config, int(s.head_dim), kinds[i], ROPES),
            sees=visible(config, config["sliding_window"] if kinds[i] == SLIDING else None),
            gate="softplus",
            gates_heads=config["gating"] is True or config["gating"] == "per-head",
        )
        feed_forward = mixed if fed[i] == SPARSE else gated_mlp(config, "mlp")
        return pre_norm_block(norm, s.width, attention=attention, feed_forward=feed_forward)

    return causal_lm(config, prefix, layer, final_norm=norm("norm", Role.FINAL_NORM, s.width))
