"""A group: tensors of a checkpoint that differ only in their layer and expert numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import product
from math import prod
from operator import attrgetter

import msgspec

from weightscope.brief import brief
from weightscope.checkpoint.dtypes import BLOCKS, byte_size
from weightscope.checkpoint.entry import TensorEntry
from weightscope.components.base import Indices
from weightscope.ranges import Names, expand, fill, numbers_in, template_of
from weightscope.roles import Role, Section
from weightscope.sizes import Shape
from weightscope.storage.base import Bounds, Kind, Scheme

# What is stored and is no weight of its own.
UNCOUNTED = (Kind.BUFFER, Kind.SCALE, Kind.COPY)
DTYPE, SHAPE = attrgetter("dtype"), attrgetter("shape")

# How many tensors have each (dtype, shape); the dtype is None where only a config gives the shape.
Counts = Mapping[tuple[str | None, tuple[int, ...]], int]


class Group(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """Tensors that differ only in their layer and expert numbers.

    `names` are those that are there, none where only a config describes them. `counts` tells how many have each
    (dtype, shape); the dtype is None where only the config gives the shape. `parts` says how a tensor's weights divide
    among roles. `packing` is how many weights its elements stand for, as (weights, elements); no elements where a
    tensor's shape is not known and it stands for so many weights whatever it is. `scheme` is that of a quantized
    weight, `dtypes` the element types that its tensors may have, `bounds` their values, `also` their other shapes.
    `alias` marks tensors that are another tensor's storage again, and so no weights of their own. `unstored` is how
    many weights no file holds because code computes them.
    """

    template: str
    ranges: tuple[Indices, ...]
    kinds: tuple[str, ...]
    names: Sequence[str]
    counts: Counts
    parts: tuple[tuple[Role, int], ...]
    kind: Kind
    section: Section
    shape: Shape | None = None
    packing: tuple[int, int] = (1, 1)
    scheme: Scheme | None = None
    dtypes: frozenset[str] = frozenset()
    bounds: Bounds | None = None
    also: tuple[Shape, ...] = ()
    chosen: tuple[int, int] = (1, 1)
    auxiliary: bool = False
    inferred: bool = False
    alias: bool = False
    unstored: int = 0

    __repr__ = brief

    @property
    def title(self) -> str:
        """The names as one, with ranges."""
        return fill(self.template, self.ranges)

    @property
    def roles(self) -> tuple[Role, ...]:
        """The roles held here, in the order of their rows."""
        return tuple(role for role, _ in self.parts)

    @property
    def may_be_infinite(self) -> bool:
        """Whether it holds bounds, of which an infinite one clamps nothing."""
        return Role.CLIP_BOUND in self.roles

    @cached_property
    def tensors(self) -> int:
        """How many."""
        return sum(self.counts.values()) if self.counts else len(self.names)

    @cached_property
    def elements(self) -> int:
        """Elements on disk."""
        return sum(prod(shape) * count for (_, shape), count in self.counts.items())

    @cached_property
    def bytes(self) -> int:
        """Bytes on disk; 0 for an alias, and where the dtype is not known."""
        if self.alias:
            return 0
        return sum(byte_size(dtype, shape) * count for (dtype, shape), count in self.counts.items() if dtype)

    @cached_property
    def parameters(self) -> int:
        """Logical weights: none for buffers, scales and aliases, more than elements for packed weights."""
        if self.alias or self.kind in UNCOUNTED:
            return 0
        if self.unstored:
            return self.unstored
        logical, stored = self.packing
        # A declared weight stands for its declared number, also where it is packed otherwise than the config says.
        return self.elements * logical // stored if self._is_ratio else self.tensors * logical

    def weights_in(self, shape: tuple[int, ...] | None) -> int:
        """Logical weights of one member of that shape."""
        logical, stored = self.packing
        if self.alias or self.kind in UNCOUNTED or (shape is None and stored):
            return 0
        return prod(shape or ()) * logical // stored if self._is_ratio else logical

    @property
    def misfits(self) -> tuple[tuple[int, ...], ...]:
        """The stored shapes that are neither the declared one nor another that means the same."""
        if self.shape is None:
            return ()
        fitting = {tuple(map(int, shape)) for shape in (self.shape, *self.also)}
        return tuple(dict.fromkeys(shape for _, shape in self.counts if shape not in fitting))

    @property
    def _is_ratio(self) -> bool:
        """Whether the packing holds for tensors of any size: each element is a weight, or no family declares them."""
        logical, stored = self.packing
        return bool(stored) and (self.inferred or logical == stored)

    @property
    def uncounted(self) -> bool:
        """Whether nothing tells how many weights it is: names alone, or integers that may be several weights each."""
        if not self.inferred or self.kind is not Kind.WEIGHT or self.scheme is not None:
            return False
        return not self.counts or any(dtype and dtype[0] in "IU" and dtype not in BLOCKS for dtype, _ in self.counts)

    @property
    def packed(self) -> bool:
        """Whether an element is something else than a weight."""
        return self.kind is Kind.SCALE or self.packing[0] != self.packing[1]

    @property
    def active(self) -> int:
        """The part of `parameters` that one token uses."""
        return self.parameters * self.chosen[0] // self.chosen[1]

    @property
    def layer_place(self) -> int | None:
        """Which of the ranges counts layers; None outside of layers."""
        return self.kinds.index("layer") if "layer" in self.kinds else None

    def layer_of(self, name: str) -> int | None:
        """The number of a member's layer; None outside of layers."""
        place = self.layer_place
        return None if place is None else self.numbers_of(name)[place]

    def numbers_of(self, name: str) -> tuple[int, ...]:
        """A member's number in each of the ranges."""
        if not self.ranges:
            return ()
        # Most templates leave all numbers of a name open, and a checkpoint has 100,000 names.
        template, numbers = template_of(name)
        return numbers if template == self.template else numbers_in(self.template, name) or ()

    @property
    def every_name(self) -> Sequence[str]:
        """The names that are there, or where only a config describes them, all that the template stands for."""
        return self.names or Names(self.template, self.ranges)

    def numbered(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Each name that is there, or is planned where none is, with its number in each of the ranges."""
        if self.names and not isinstance(self.names, Names):
            return ((name, self.numbers_of(name)) for name in self.names)
        return zip(expand(self.template, self.ranges), product(*self.ranges), strict=True)

    def shares(self, amount: int) -> list[tuple[Role, int]]:
        """An amount divided among the roles as their weights are; nothing is lost to rounding."""
        total = sum(count for _, count in self.parts)
        shares = [(role, amount * count // total if total else 0) for role, count in self.parts]
        first, rest = shares[0], shares[1:]
        return [(first[0], amount - sum(share for _, share in rest)), *rest]


def count_of(entries: Sequence[TensorEntry]) -> Counts:
    """How many of the entries have each element type and shape."""
    dtypes, shapes = list(map(DTYPE, entries)), list(map(SHAPE, entries))
    # Nearly always all are alike, and to compare 90,000 is quicker than to hash them.
    if dtypes.count(dtypes[0]) == shapes.count(shapes[0]) == len(entries):
        return {(dtypes[0], shapes[0]): len(entries)}
    return Counter(zip(dtypes, shapes, strict=True))
