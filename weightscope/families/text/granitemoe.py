"""Granite's mixtures: Granite with experts stacked on disk. Sources: `GraniteMoeConfig`, `GraniteMoeSharedConfig`."""

from __future__ import annotations

from weightscope.components.decoder import CausalLM
from weightscope.components.feed_forward.mlp import GatedMLP
from weightscope.components.feed_forward.moe import MixtureOfExperts
from weightscope.config import Config
from weightscope.families.common.defaults import LLAMA
from weightscope.families.common.llama_like import decoder
from weightscope.families.common.mixtures import IN_MEMORY, ROOTS, spelling, stacked_experts
from weightscope.families.common.parts import four_projections
from weightscope.families.registry import family
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.linear import Linear
from weightscope.storage.stacked import Stacked

GRANITEMOE = LLAMA | {
    "embedding_multiplier": 1.0,
    "logits_scaling": 1.0,
    "residual_multiplier": 1.0,
    "attention_multiplier": 1.0,
    "num_local_experts": 8,
    "num_experts_per_tok": 2,
    "shared_intermediate_size": 0,
}
ON_DISK = (
    Stacked("input_linear.weight", Role.GATE_PROJ, Role.UP_PROJ),
    Stacked("output_linear.weight", Role.DOWN_PROJ),
)


@family("granitemoe", roots=ROOTS, defaults=GRANITEMOE)
@family("granitemoeshared", roots=ROOTS, defaults=GRANITEMOE)
def granitemoe(config: Config, root: str) -> CausalLM:
    """A shared MLP lies beside the mixture, if it has any width; four numbers scale the parts."""
    prefix, stacked = spelling(root)
    bias = config["attention_bias"]
    experts, chosen = config["num_local_experts"], config["num_experts_per_tok"]
    shared = config["shared_intermediate_size"] if config.model_type == "granitemoeshared" else None
    expert = mlp(config, "", config["intermediate_size"], ())
    name, items = ("block_sparse_moe.experts", IN_MEMORY) if stacked else ("block_sparse_moe", ON_DISK)
    fused = (Linear("input_linear", Role.GATE_PROJ, Role.UP_PROJ), Linear("output_linear", Role.DOWN_PROJ))
    return decoder(
        config,
        prefix,
        projections=four_projections(qkv_bias=bias, o_bias=bias),
        feed_forward=MixtureOfExperts(
            name="",
            width=config["hidden_size"],
            experts=experts,
            chosen=chosen,
            expert=expert,
            stacked=stacked_experts(expert, experts, chosen, name=name, items=items),
            router="block_sparse_moe.router" if stacked else "block_sparse_moe.router.layer",
            shared=mlp(config, "shared_mlp", shared, fused) if shared else None,
        ),
        attention={"scale": float(config["attention_multiplier"])},
        block={"residual_scale": float(config["residual_multiplier"])},
        embedding_scale=float(config["embedding_multiplier"]),
        heads={"scale": 1.0 / config["logits_scaling"]},
    )


def mlp(config: Config, name: str, inner: Size, items: tuple[Linear, ...]) -> GatedMLP:
    """Gate and up fused, or for an expert stored otherwise."""
    return GatedMLP(name=name, items=items, width=config["hidden_size"], inner=inner, activation=config["hidden_act"])
