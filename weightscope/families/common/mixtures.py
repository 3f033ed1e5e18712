"""How mixtures are spelled on disk and in memory."""

from __future__ import annotations

from weightscope.components.feed_forward.moe import Stack
from weightscope.roles import Role
from weightscope.storage.stacked import Stacked

# What a root stands for: published checkpoints hold each expert's matrices apart, a state dict of transformers 5
# holds them stacked.
STACKED = "model, experts stacked"
ROOTS = ("model", "", STACKED)
# Experts as transformers 5 holds them in memory: gate above up in one tensor.
STACK = Stack(items=(Stacked("gate_up_proj", Role.GATE_PROJ, Role.UP_PROJ), Stacked("down_proj", Role.DOWN_PROJ)))


def spelling(root: str) -> tuple[str, bool]:
    """The prefix that a root stands for, and whether experts are stacked."""
    return ("model", True) if root == STACKED else (root, False)
