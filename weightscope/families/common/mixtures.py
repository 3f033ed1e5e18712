"""How mixtures are spelled on disk and in memory."""

from __future__ import annotations

from msgspec.structs import replace

from weightscope.components.feed_forward.moe import Stack
from weightscope.roles import Role
from weightscope.storage.stacked import Stacked

# What a root stands for: published checkpoints hold each expert's matrices apart, a state dict of transformers 5
# and MLX's converter hold them stacked.
STACKED, SWITCHED = "model, experts stacked", "model, experts stacked by MLX"
ROOTS = ("model", "", STACKED, SWITCHED)
# Newer versions of MLX's converter take latent attention's keys and values apart as well.
APART = "model, experts stacked and heads apart by MLX"
LATENT_ROOTS = (*ROOTS, APART)
# Within a vision-language model, as transformers 5 holds it in memory.
WITHIN = "model.language_model, experts stacked"
# Some of mlx-lm's models keep the name `experts` for the stacks.
IN_PLACE = "model, experts stacked in place by MLX"
PLACED_ROOTS = ("model", "", STACKED, IN_PLACE)
# Experts as transformers 5 holds them in memory: gate above up in one tensor.
STACK = Stack(items=(Stacked("gate_up_proj", Role.GATE_PROJ, Role.UP_PROJ), Stacked("down_proj", Role.DOWN_PROJ)))


# Experts as MLX holds them: `SwitchGLU` of mlx-lm, a module a role.
SWITCH = Stack(
    name="switch_mlp",
    items=tuple(Stacked(f"{role}.weight", role) for role in (Role.GATE_PROJ, Role.UP_PROJ, Role.DOWN_PROJ)),
)
STACKS = {STACKED: STACK, WITHIN: STACK, SWITCHED: SWITCH, APART: SWITCH, IN_PLACE: replace(SWITCH, name="experts")}


def spelling(root: str) -> tuple[str, Stack | None]:
    """The prefix that a root stands for, and how experts are stacked, if they are."""
    stack = STACKS.get(root)
    return (root.partition(",")[0], stack) if stack else (root, None)
