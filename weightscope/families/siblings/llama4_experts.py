"""Where Llama 4's experts lie: as published, apart, or as MLX stacks them."""

from __future__ import annotations

from weightscope.components.feed_forward.moe import Stack
from weightscope.families.common.mixtures import SWITCHED
from weightscope.roles import Role
from weightscope.storage.stacked import Stacked

# As compressed-tensors quantizes them, each a module of its own.
APART = "model, experts apart"
USUAL = Stack(
    items=(
        Stacked("gate_up_proj", Role.GATE_PROJ, Role.UP_PROJ, transposed=True),
        Stacked("down_proj", Role.DOWN_PROJ, transposed=True),
    )
)
BY_MLX = Stack(items=tuple(Stacked(f"{role}.weight", role) for role in (Role.GATE_PROJ, Role.UP_PROJ, Role.DOWN_PROJ)))
# What a root stands for.
STACKS = {APART: None, SWITCHED: BY_MLX}
