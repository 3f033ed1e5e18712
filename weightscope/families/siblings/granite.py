"""The MLPs and the mixture of IBM's Granite models. Source: `GraniteMoeParallelExperts` of transformers."""

from __future__ import annotations

from weightscope.components.feed_forward import GatedMLP
from weightscope.components.feed_forward.moe import MixtureOfExperts, Stack
from weightscope.config import Config
from weightscope.families.common.mixtures import STACK, SWITCH
from weightscope.families.common.parts import fused_gated_mlp, gated_mlp
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.stacked import Stacked

ON_DISK = Stack(
    name="block_sparse_moe",
    items=(
        Stacked("input_linear.weight", Role.GATE_PROJ, Role.UP_PROJ),
        Stacked("output_linear.weight", Role.DOWN_PROJ),
    ),
)
IN_MEMORY = Stack(name="block_sparse_moe.experts", items=STACK.items)
# How each is spelled below the layer.
SPELLED = {None: ON_DISK, STACK: IN_MEMORY, SWITCH: Stack(name=f"block_sparse_moe.{SWITCH.name}", items=SWITCH.items)}


def granite_mlp(config: Config, inner: Size) -> GatedMLP:
    """The shared MLP, gate and up fused."""
    return fused_gated_mlp(config, "shared_mlp", inner=inner, names=("input_linear", "output_linear"))


def granite_mixture(config: Config, shared: Size | None, *, stacked: Stack | None) -> MixtureOfExperts:
    """Experts stacked on disk as well as in memory, and a shared MLP of width `shared`, if there is one."""
    return MixtureOfExperts(
        name="",
        width=config["hidden_size"],
        experts=config["num_local_experts"],
        chosen=config["num_experts_per_tok"],
        expert=gated_mlp(config, ""),
        stacked=SPELLED[stacked],
        router="block_sparse_moe.router" if stacked == STACK else "block_sparse_moe.router.layer",
        shared=None if shared is None else granite_mlp(config, shared),
    )
