"""Which tensors: one row each, in the order of the files, with its role and where it lies."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Literal

import msgspec

from weightscope.analyses.accounting import counted
from weightscope.analyses.inventory import Group, Inventory, byte_size
from weightscope.analyses.tying import Tying
from weightscope.checkpoint.reader import Checkpoint
from weightscope.errors import printable_path

Sort = Literal["name", "parameters", "bytes", "layer"]
DIGITS = re.compile(r"([0-9]{1,9})")
# Of a name's characters; a hostile one can have millions.
SORTED_CHARACTERS = 1000


class TensorRow(msgspec.Struct, frozen=True, kw_only=True):
    """One tensor. `dtype` is None where only a config gives the shape, `shape` where only an index gives the name.

    `layer` is its layer's number, None outside of layers. `parameters` are the weights that it adds to the model's
    total: none where it is a scale, a buffer, or a tied head that is stored again.
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


def list_tensors(inventory: Inventory, checkpoint: Checkpoint, tying: Tying) -> Iterator[tuple[Group, TensorRow]]:
    """Every tensor with its group: group by group, in the order of the forward pass."""
    weight_map = checkpoint.index.weight_map if checkpoint.index and not checkpoint.tensors else {}
    for group in inventory.groups:
        planned = next((shape for _, shape in group.counts), None)
        counts = counted(group, tying) > 0
        place = group.kinds.index("layer") if "layer" in group.kinds else None
        for name, numbers in group.numbered():
            entry = checkpoint.tensors.get(name)
            shape = entry.shape if entry else planned
            row = TensorRow(
                name=name,
                component=str(group.section),
                roles=tuple(map(str, group.roles)),
                kind=str(group.kind),
                dtype=entry.dtype if entry else None,
                shape=shape,
                parameters=group.weights_in(shape) if counts else 0,
                bytes=byte_size(entry.dtype, entry.shape) if entry and not group.alias else 0,
                layer=None if place is None else numbers[place],
                file=printable_path(checkpoint.name_of(checkpoint.files[entry.file]))
                if entry
                else weight_map.get(name),
                inferred=group.inferred,
            )
            yield group, row


def sorted_by(sort: Sort) -> Callable[[TensorRow], tuple[object, ...]]:
    """The key to sort rows by: the largest first, names with their numbers as numbers, what is in no layer last."""
    keys: dict[Sort, Callable[[TensorRow], tuple[object, ...]]] = {
        "name": lambda row: natural(row.name),
        "parameters": lambda row: (-row.parameters, -row.bytes),
        "bytes": lambda row: (-row.bytes, -row.parameters),
        "layer": lambda row: (row.layer is None, row.layer or 0),
    }
    return keys[sort]


def natural(name: str) -> tuple[object, ...]:
    """A key that puts layer 2 before layer 10."""
    return tuple(int(part) if place % 2 else part for place, part in enumerate(DIGITS.split(name[:SORTED_CHARACTERS])))
