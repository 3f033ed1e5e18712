"""Mixtures of experts as most families lay them out, in place of the feed-forward of some layers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator
from typing import TypeVar

from msgspec.structs import replace

from weightscope.components.base import Component, Repeat
from weightscope.components.decoder import Block, CausalLM
from weightscope.components.feed_forward.mlp import MLP, GatedMLP
from weightscope.components.feed_forward.moe import Stack
from weightscope.config import Config
from weightscope.families.common.windows import alike
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.stacked import Stacked

K = TypeVar("K", bound=Hashable)

# What a root stands for: published checkpoints hold each expert's matrices apart, a state dict of transformers 5
# holds them stacked.
STACKED = "model, experts stacked"
ROOTS = ("model", "", STACKED)
IN_MEMORY = (Stacked("gate_up_proj", Role.GATE_PROJ, Role.UP_PROJ), Stacked("down_proj", Role.DOWN_PROJ))
# Experts as transformers 5 holds them in memory: gate above up in one tensor.
STACK = Stack(items=IN_MEMORY)


def spelling(root: str) -> tuple[str, bool]:
    """The prefix that a root stands for, and whether experts are stacked."""
    return ("model", True) if root == STACKED else (root, False)


def stacked_experts(
    expert: GatedMLP | MLP,
    experts: Size,
    chosen: Size,
    *,
    name: str = "experts",
    items: tuple[Stacked, ...] = IN_MEMORY,
) -> Stack:
    """The same for builders that are not yet rewritten."""
    del expert, experts, chosen
    return Stack(name=name, items=items)


def with_mixture(model: CausalLM, sparse: Callable[[int], bool], mixture: Component) -> CausalLM:
    """The model with `mixture` for the feed-forward of the layers that are `sparse`."""
    return by_layer(model, sparse, lambda block, mixed: replace(block, feed_forward=mixture) if mixed else block)


def by_layer(model: CausalLM, kind: Callable[[int], K], change: Callable[[Block, K], Block]) -> CausalLM:
    """The model with its blocks changed, those of one kind alike."""

    def parts(repeat: Repeat) -> Iterator[Repeat]:
        for layers, value in alike(repeat.indices, kind):
            assert isinstance(repeat.child, Block)
            yield replace(repeat, indices=layers, child=change(repeat.child, value))

    blocks = tuple(part for repeat in model.decoder.blocks for part in parts(repeat))
    return replace(model, decoder=replace(model.decoder, blocks=blocks))


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
