"""Granite 4: Mamba-2 among attention, with or without a mixture. Source: `GraniteMoeHybridConfig` of transformers."""

from __future__ import annotations

from typing import Any

from weightscope.components.decoder import Block, CausalLM
from weightscope.components.feed_forward.moe import MixtureOfExperts
from weightscope.config import Config, Nullable
from weightscope.families.common.hybrid import attention, hybrid, kinds_of, number
from weightscope.families.common.mixtures import IN_MEMORY, ROOTS, spelling, stacked_experts
from weightscope.families.common.parts import four_projections, rms_norms
from weightscope.families.common.rotary import rotary
from weightscope.families.common.state_space import MAMBA2_HYBRID, mamba2
from weightscope.families.registry import family
from weightscope.families.text.granitemoe import GRANITEMOE, ON_DISK, mlp
from weightscope.roles import Role
from weightscope.storage.linear import Linear

GRANITEMOEHYBRID: dict[str, Any] = (
    MAMBA2_HYBRID
    | GRANITEMOE
    | {
        "shared_intermediate_size": 1024,
        "position_embedding_type": Nullable(str),
    }
)
FUSED = (Linear("input_linear", Role.GATE_PROJ, Role.UP_PROJ), Linear("output_linear", Role.DOWN_PROJ))


@family("granitemoehybrid", roots=ROOTS, defaults=GRANITEMOEHYBRID, aliases={"layer_types": "layers_block_type"})
def granitemoehybrid(config: Config, root: str) -> CausalLM:
    """A shared MLP in every layer, beside a mixture where there are experts; no positions unless they rotate."""
    width, eps, bias = config["hidden_size"], config["rms_norm_eps"], config["attention_bias"]
    head_dim, norm = config["head_dim"] or width // config["num_attention_heads"], rms_norms(eps)
    prefix, stacked = spelling(root)
    attends = attention(
        config,
        head_dim,
        four_projections(qkv_bias=bias, o_bias=bias),
        rope=rotary(config, head_dim) if config["position_embedding_type"] == "rope" else None,
        scale=number(config, "attention_multiplier"),
    )
    shared = mlp(config, "shared_mlp", config["shared_intermediate_size"], FUSED)
    experts, chosen = config["num_local_experts"], config["num_experts_per_tok"]
    expert = mlp(config, "", config["intermediate_size"], ())
    name, items = ("block_sparse_moe.experts", IN_MEMORY) if stacked else ("block_sparse_moe", ON_DISK)
    mixture = MixtureOfExperts(
        name="",
        width=width,
        experts=experts,
        chosen=chosen,
        expert=expert,
        stacked=stacked_experts(expert, experts, chosen, name=name, items=items),
        router="block_sparse_moe.router" if stacked else "block_sparse_moe.router.layer",
        shared=shared,
    )

    def block(kind: str) -> Block:
        return Block(
            input_norm=norm("input_layernorm", Role.INPUT_NORM, width),
            attention=attends if kind == "full_attention" else mamba2(config),
            feed_forward_norm=norm("post_attention_layernorm", Role.POST_ATTENTION_NORM, width),
            feed_forward=mixture if experts else shared,
            residual_scale=number(config, "residual_multiplier"),
        )

    kinds = kinds_of(config, lambda _: "linear_attention")
    ends: dict[str, Any] = {
        "embedding_scale": number(config, "embedding_multiplier"),
        "scale": 1.0 / number(config, "logits_scaling"),
    }
    return hybrid(config, prefix, kinds, block, eps=eps, **ends)
