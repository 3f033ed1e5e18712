"""Mixtures of experts as most families lay them out, in place of the feed-forward of some layers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any

from msgspec.structs import replace

from weightscope.components.base import Component, Indices, Repeat
from weightscope.components.decoder import CausalLM
from weightscope.components.mlp import GatedMLP
from weightscope.components.moe import StackedExperts
from weightscope.config import Config
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.stacked import Stacked

# What a root stands for: published checkpoints hold each expert's matrices apart, a state dict of transformers 5
# holds them stacked.
STACKED = "model, experts stacked"
ROOTS = ("model", "", STACKED)


def spelling(root: str) -> tuple[str, bool]:
    """The prefix that a root stands for, and whether experts are stacked."""
    return ("model", True) if root == STACKED else (root, False)


def stacked_experts(expert: GatedMLP, experts: Size, chosen: Size, **names: Any) -> StackedExperts:
    """Experts as transformers 5 holds them in memory: gate above up in one tensor, down in another."""
    items = (Stacked("gate_up_proj", Role.GATE_PROJ, Role.UP_PROJ), Stacked("down_proj", Role.DOWN_PROJ))
    settings = {"name": "experts", "items": items} | names
    return StackedExperts(experts=experts, chosen=chosen, expert=expert, **settings)


def with_mixture(model: CausalLM, sparse: Callable[[int], bool], mixture: Component) -> CausalLM:
    """The model with `mixture` for the feed-forward of the layers that are `sparse`."""

    def parts(repeat: Repeat) -> Iterator[Repeat]:
        dense = [layer for layer in repeat.indices if not sparse(layer)]
        among = set(dense)
        mixed = [layer for layer in repeat.indices if layer not in among]
        if dense:
            yield replace(repeat, indices=consecutive(dense))
        if mixed:
            yield replace(repeat, indices=consecutive(mixed), child=replace(repeat.child, feed_forward=mixture))

    blocks = tuple(part for repeat in model.decoder.blocks for part in parts(repeat))
    return replace(model, decoder=replace(model.decoder, blocks=blocks))


def consecutive(layers: list[int]) -> Indices:
    """The same numbers as a range where they are one."""
    whole = range(layers[0], layers[-1] + 1)
    return whole if len(whole) == len(layers) else layers


def every_so_often(config: Config) -> Callable[[int], bool]:
    """Qwen's choice: each `decoder_sparse_step`-th layer but those of `mlp_only_layers`."""
    step, dense = config["decoder_sparse_step"], listed(config, "mlp_only_layers")
    return lambda layer: layer not in dense and (layer + 1) % step == 0


def listed(config: Config, key: str) -> Collection[int]:
    """The layer numbers that a key lists, none where it is null."""
    layers = config[key] or ()
    if not all(type(layer) is int for layer in layers):
        raise config.error(f"{key} is no list of layer numbers")
    return frozenset(layers)
