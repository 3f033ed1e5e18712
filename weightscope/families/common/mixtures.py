"""How mixtures are spelled on disk and in memory, and which layers have one."""

from __future__ import annotations

from collections.abc import Callable, Collection

from weightscope.components.feed_forward.moe import Stack
from weightscope.config import Config
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


def every_so_often(config: Config) -> Callable[[int], bool]:
    """Qwen's choice: each `decoder_sparse_step`-th layer but those of `mlp_only_layers`; none without experts."""
    step, dense, experts = config["decoder_sparse_step"], listed(config, "mlp_only_layers"), config["num_experts"]
    return lambda layer: layer not in dense and experts > 0 and (layer + 1) % step == 0


def listed(config: Config, key: str) -> Collection[int]:
    """The layer numbers that a key lists, none where it is null."""
    layers = config[key] or ()
    if not all(type(layer) is int for layer in layers):
        raise config.error(f"{key} is no list of layer numbers")
    return frozenset(layers)
