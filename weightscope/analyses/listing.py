"""Which tensors: one row each, in the order of the files, with its role and where it lies."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from weightscope.analyses.inventory import Group, Inventory, byte_size
from weightscope.checkpoint.dtypes import DTYPE_BITS, TORCH_NAMES
from weightscope.checkpoint.reader import Checkpoint
from weightscope.errors import UsageError, printable_path
from weightscope.roles import Role


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
    weight_map = checkpoint.index.weight_map if checkpoint.index and not checkpoint.tensors else {}
    for group in inventory.groups:
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
                parameters=group.weights_in(shape),
                bytes=byte_size(entry.dtype, entry.shape) if entry and not group.alias else 0,
                layer=group.layer_of(name),
                file=printable_path(checkpoint.files[entry.file].path.name) if entry else weight_map.get(name),
                inferred=group.inferred,
            )
            yield group, row


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows to show: those that fit every part that is set."""

    pattern: re.Pattern[str] | None = None
    roles: frozenset[str] = frozenset()
    layers: tuple[tuple[int, int], ...] = ()
    dtypes: frozenset[str] = frozenset()

    @classmethod
    def of(cls, pattern: str | None, roles: Sequence[str], layers: Sequence[str], dtypes: Sequence[str]) -> Filter:
        """From what a user typed.

        Raises:
            UsageError: an unknown role or dtype, or a layer that is neither a number nor a range.
        """
        unknown = [role for role in roles if role not in set(Role)]
        if unknown:
            from difflib import get_close_matches

            near = get_close_matches(unknown[0], list(Role), n=3)
            raise UsageError(
                f"no role {unknown[0]!r}", hint=f"did you mean {' or '.join(near)}?" if near else _known(Role)
            )
        names = frozenset(TORCH_NAMES.get(dtype.lower(), dtype.upper()) for dtype in dtypes)
        strange = sorted(names - DTYPE_BITS.keys())
        if strange:
            raise UsageError(f"no dtype {strange[0]!r}", hint=_known(DTYPE_BITS))
        return cls(
            pattern=re.compile(fnmatch.translate(pattern)) if pattern else None,
            roles=frozenset(roles),
            layers=tuple(_span(layer) for layer in layers),
            dtypes=names,
        )

    def fits(self, row: TensorRow) -> bool:
        """Whether a row is one of those asked for."""
        return (
            (self.pattern is None or self.pattern.match(row.name) is not None)
            and (not self.roles or not self.roles.isdisjoint(row.roles))
            and (not self.dtypes or row.dtype in self.dtypes)
            and (
                not self.layers
                or (row.layer is not None and any(first <= row.layer <= last for first, last in self.layers))
            )
        )


def _span(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,9})(?:[-–](\d{1,9}))?", text)
    if not match:
        raise UsageError(f"--layer {text!r} is neither a number nor a range", hint="write --layer 3 or --layer 3-7")
    return int(match[1]), int(match[2] or match[1])


def _known(names: Iterable[str]) -> str:
    return "known are " + ", ".join(names)
