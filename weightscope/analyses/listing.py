"""Which tensors: one row each, in the order of the files, with its role and where it lies."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import msgspec

from weightscope.analyses.inventory import Group, Inventory, byte_size
from weightscope.checkpoint.reader import Checkpoint
from weightscope.storage.base import Kind


class TensorRow(msgspec.Struct, frozen=True, kw_only=True):
    """One tensor. `dtype` is None where only a config gives the shape, `shape` where only an index gives the name.

    `layer` is its layer's number, None outside of layers. `parameters` are the weights that it stands for.
    """

    name: str
    component: str
    roles: tuple[str, ...]
    kind: str
    dtype: str | None
    shape: tuple[int, ...] | None
    parameters: int
    bytes: int
    layer: int | None
    file: str | None
    inferred: bool


def list_tensors(inventory: Inventory, checkpoint: Checkpoint) -> Iterator[tuple[Group, TensorRow]]:
    """Every tensor with its group: group by group, in the order of the forward pass."""
    weight_map = checkpoint.index.weight_map if checkpoint.index else {}
    for group in inventory.groups:
        logical, stored = group.packing
        counts = not group.alias and group.kind in (Kind.WEIGHT, Kind.BIAS)
        planned = next((shape for _, shape in group.counts), None)
        for name in group.names or group.planned_names():
            entry = checkpoint.tensors.get(name)
            shape = entry.shape if entry else planned
            row = TensorRow(
                name=name,
                component=str(group.section),
                roles=tuple(map(str, group.roles)),
                kind=str(group.kind),
                dtype=entry.dtype if entry else None,
                shape=shape,
                parameters=prod(shape) * logical // stored if counts and shape is not None else 0,
                bytes=byte_size(entry.dtype, entry.shape) if entry and not group.alias else 0,
                layer=group.layer_of(name),
                file=checkpoint.files[entry.file].path.name if entry else weight_map.get(name),
                inferred=group.inferred,
            )
            yield group, row
