"""The tensors of a group, divided into those of one dtype and shape; ranges of numbers say which they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod

import msgspec
from msgspec.structs import replace

from weightscope.analyses.groups import Group
from weightscope.analyses.tying import Tying
from weightscope.brief import brief
from weightscope.checkpoint.dtypes import byte_size
from weightscope.checkpoint.entry import TensorEntry
from weightscope.components.base import Indices
from weightscope.ranges import Names, columns, fill

Numbers = tuple[int, ...]


class Alike(msgspec.Struct, frozen=True, kw_only=True):
    """Tensors of one group that have the same dtype and shape.

    Each combination of `ranges` is one of them. `dtype` is None where only a config describes them, `shape` where
    nothing does. `parameters` and `bytes` are those of all together.
    """

    group: Group
    ranges: tuple[Indices, ...]
    dtype: str | None
    shape: tuple[int, ...] | None
    tensors: int
    parameters: int
    bytes: int

    __repr__ = brief

    @property
    def title(self) -> str:
        """The names as one, with ranges."""
        return fill(self.group.template, self.ranges)

    @property
    def names(self) -> Names:
        """Every name."""
        return Names(self.group.template, self.ranges)

    def counted(self, tying: Tying) -> int | None:
        """The parameters that they add to the model's; None where nothing tells them."""
        if self.group.uncounted:
            return None
        return 0 if tying.tied and tying.head in self.group.names else self.parameters


def alike(group: Group, tensors: Mapping[str, TensorEntry]) -> Iterator[Alike]:
    """The group's tensors, divided; `tensors` are the checkpoint's, empty where there are none."""
    if group.unstored:
        yield _of(group, group.ranges, None, None)
        return
    if len(group.counts) < 2 and (not group.names or isinstance(group.names, Names)):
        dtype, shape = next(iter(group.counts), (None, None))
        yield _of(group, group.ranges, dtype, shape)
        return
    found: dict[tuple[str | None, tuple[int, ...] | None], list[Numbers]] = {}
    lone = next(iter(group.counts), (None, None)) if len(group.counts) < 2 else None
    for name, numbers in group.numbered():
        entry = tensors.get(name)
        found.setdefault(lone or (entry.dtype, entry.shape) if entry else (None, None), []).append(numbers)
    for (dtype, shape), members in found.items():
        for ranges in _boxes(members):
            yield _of(group, ranges, dtype, shape)


def within(part: Alike, ranges: Sequence[Indices]) -> Alike | None:
    """Those whose first numbers are in `ranges`; None where there is none."""
    kept = [tuple(n for n in own if n in wanted) for own, wanted in zip(part.ranges, ranges, strict=False)]
    cut = (*kept, *part.ranges[len(kept) :])
    tensors = prod(map(len, cut))
    if not tensors:
        return None
    parameters, size = (amount * tensors // part.tensors for amount in (part.parameters, part.bytes))
    return replace(part, ranges=cut, tensors=tensors, parameters=parameters, bytes=size)


def _boxes(members: Sequence[Numbers], done: Numbers = ()) -> Iterator[tuple[Indices, ...]]:
    """One box where the numbers are every combination of their columns, else those of each first number."""
    numbers = {number[len(done) :] for number in members}
    ranges = columns(numbers)
    if len(numbers) == prod(map(len, ranges)):
        yield (*((number,) for number in done), *(tuple(sorted(column)) for column in ranges))
        return
    apart: dict[int, list[Numbers]] = {}
    for member in members:
        apart.setdefault(member[len(done)], []).append(member)
    for first in sorted(apart):
        yield from _boxes(apart[first], (*done, first))


def _of(group: Group, ranges: tuple[Indices, ...], dtype: str | None, shape: tuple[int, ...] | None) -> Alike:
    tensors = prod(map(len, ranges))
    return Alike(
        group=group,
        ranges=ranges,
        dtype=dtype,
        shape=shape,
        tensors=tensors,
        parameters=group.unstored or group.weights_in(shape) * tensors,
        bytes=byte_size(dtype, shape) * tensors if dtype and shape is not None and not group.alias else 0,
    )
