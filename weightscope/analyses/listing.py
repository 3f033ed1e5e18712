"""Which tensors: one row each, in the order of the files, with its role and where it lies."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Literal

import msgspec

from weightscope.analyses.accounting import counted
from weightscope.analyses.groups import Group
from weightscope.analyses.inventory import Inventory
from weightscope.analyses.tying import Tying
from weightscope.checkpoint.dtypes import byte_size
from weightscope.checkpoint.entry import PiecedEntry
from weightscope.checkpoint.reader import Checkpoint
from weightscope.errors import printable_path

Sort = Literal["name", "parameters", "bytes", "layer"]
DIGITS = re.compile(r"([0-9]{1,9})")
# Of a name's characters; a hostile one can have millions.
SORTED_CHARACTERS = 1000


class TensorRow(msgspec.Struct, frozen=True, kw_only=True):
    """One tensor. `dtype` is None where only a config gives the shape, `shape` where only an index gives the name.

    `layer` is its layer's number, None outside of layers. `parameters` are the weights that it adds to the model's
    total: none where it is a scale, a buffer, or a tied head that is stored again; None where nothing tells how many.
    """

    name: str
    component: str
    roles: tuple[str, ...]
    kind: str
    dtype: str | None
    shape: tuple[int, ...] | None
    parameters: int | None
    bytes: int
    layer: int | None
    file: str | None
    inferred: bool


def list_tensors(inventory: Inventory, checkpoint: Checkpoint, tying: Tying) -> Iterator[tuple[Group, TensorRow]]:
    """Every tensor with its group: group by group, in the order of the forward pass."""
    listing = Listing(checkpoint, tying)
    return ((group, row) for group in inventory.groups for row in listing.rows_of(group))


class Listing:
    """The rows of a checkpoint, one group at a time."""

    def __init__(self, checkpoint: Checkpoint, tying: Tying) -> None:
        self._checkpoint, self._tying = checkpoint, tying
        self._files = [printable_path(checkpoint.name_of(file)) for file in checkpoint.files]
        index = checkpoint.index if not checkpoint.tensors else None
        self._weight_map = index.weight_map if index else {}

    def rows_of(self, group: Group) -> Iterator[TensorRow]:
        """Those of the group's tensors."""
        checkpoint, tensors, files = self._checkpoint, self._checkpoint.tensors, self._files
        row_of = _Rows(group, counts=counted(group, self._tying) > 0)
        for name, numbers in group.numbered():
            entry = tensors.get(name)
            if entry:
                # Names of files are looked up once; those of pieces are rare.
                place = checkpoint.place_of(entry) if isinstance(entry, PiecedEntry) else files[entry.file]
                yield row_of(name, numbers, entry.dtype, entry.shape, place)
            else:
                yield row_of(name, numbers, None, row_of.planned, self._weight_map.get(name))


class _Rows:
    """The rows of a group: what all of them share is worked out once."""

    def __init__(self, group: Group, *, counts: bool) -> None:
        self.planned = next((shape for _, shape in group.counts), None)
        self._group = group
        self._counts = counts
        self._component, self._kind, self._roles = str(group.section), str(group.kind), tuple(map(str, group.roles))
        self._place = group.layer_place
        self._sizes: dict[tuple[str | None, tuple[int, ...] | None], tuple[int | None, int]] = {}

    def __call__(
        self, name: str, numbers: tuple[int, ...], dtype: str | None, shape: tuple[int, ...] | None, file: str | None
    ) -> TensorRow:
        """That of one member."""
        sizes = self._sizes.get((dtype, shape)) or self._sizes_of(dtype, shape)
        return TensorRow(
            name=name,
            component=self._component,
            roles=self._roles,
            kind=self._kind,
            dtype=dtype,
            shape=shape,
            parameters=sizes[0],
            bytes=sizes[1],
            layer=None if self._place is None else numbers[self._place],
            file=file,
            inferred=self._group.inferred,
        )

    def _sizes_of(self, dtype: str | None, shape: tuple[int, ...] | None) -> tuple[int | None, int]:
        """Parameters and bytes."""
        group = self._group
        parameters = None if group.uncounted else group.weights_in(shape) if self._counts else 0
        size = byte_size(dtype, shape) if dtype and shape is not None and not group.alias else 0
        return self._sizes.setdefault((dtype, shape), (parameters, size))


def sorted_by(sort: Sort) -> Callable[[TensorRow], tuple[object, ...]]:
    """The key to sort rows by: the largest first, names with their numbers as numbers, what is in no layer last."""
    keys: dict[Sort, Callable[[TensorRow], tuple[object, ...]]] = {
        "name": lambda row: natural(row.name),
        "parameters": lambda row: (-(row.parameters or 0), -row.bytes),
        "bytes": lambda row: (-row.bytes, -(row.parameters or 0)),
        "layer": lambda row: (row.layer is None, row.layer or 0),
    }
    return keys[sort]


def natural(name: str) -> tuple[object, ...]:
    """A key that puts layer 2 before layer 10."""
    return tuple(int(part) if place % 2 else part for place, part in enumerate(DIGITS.split(name[:SORTED_CHARACTERS])))
