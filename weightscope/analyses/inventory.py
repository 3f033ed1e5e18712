"""Every tensor of a checkpoint under its role: the join of declaration and files that all other analyses read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import cached_property
from itertools import product
from math import prod
from operator import attrgetter
from typing import Any

import msgspec
from msgspec.structs import replace

from weightscope.brief import brief
from weightscope.checkpoint.dtypes import BLOCKS, byte_size
from weightscope.checkpoint.entry import PiecedEntry, TensorEntry
from weightscope.checkpoint.reader import Checkpoint
from weightscope.components.base import Indices
from weightscope.components.walk import Slot
from weightscope.errors import CheckpointError, Where
from weightscope.families.registry import Declaration
from weightscope.quantization.common.marks import is_side_beside
from weightscope.ranges import Names, columns, expand, fill, template_of
from weightscope.roles import Role, Section
from weightscope.sizes import Shape
from weightscope.storage.base import Bounds, Kind, Scheme, Stored

# What is stored and is no weight of its own.
UNCOUNTED = (Kind.BUFFER, Kind.SCALE, Kind.COPY)
SHARED = ("shared.weight", "model.shared.weight", "transformer.shared.weight")
DTYPE, SHAPE = attrgetter("dtype"), attrgetter("shape")
# Names that differ in more than their numbers and are declared nowhere; each is analysed on its own.
MAX_KINDS = 100_000


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
    counts: Mapping[tuple[str | None, tuple[int, ...]], int]
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

    def layer_of(self, name: str) -> int | None:
        """The number of a member's layer; None outside of layers."""
        return self.numbers_of(name)[self.kinds.index("layer")] if "layer" in self.kinds else None

    def numbers_of(self, name: str) -> tuple[int, ...]:
        """A member's number in each of the ranges."""
        if not self.ranges:
            return ()
        template, numbers = template_of(name)
        # A name may hold numbers that are no index: those of adapters that a few layers have.
        if template == self.template:
            return numbers
        parts = zip(self.template.split("."), name.split("."), strict=False)
        return tuple(int(part) for mark, part in parts if mark == "{}" and part.isdigit())

    def planned_names(self) -> Iterator[str]:
        """All names that the template stands for."""
        return expand(self.template, self.ranges)

    def numbered(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Each name that is there, or is planned where none is, with its number in each of the ranges."""
        if self.names and not isinstance(self.names, Names):
            return ((name, self.numbers_of(name)) for name in self.names)
        return zip(self.planned_names(), product(*self.ranges), strict=True)

    def shares(self, amount: int) -> list[tuple[Role, int]]:
        """An amount divided among the roles as their weights are; nothing is lost to rounding."""
        total = sum(count for _, count in self.parts)
        shares = [(role, amount * count // total if total else 0) for role, count in self.parts]
        first, rest = shares[0], shares[1:]
        return [(first[0], amount - sum(share for _, share in rest)), *rest]


class Inventory(msgspec.Struct, frozen=True, kw_only=True):
    """All groups, declared ones in the order of the forward pass; `missing` are required slots not all there.

    `computed` are groups of weights that no file holds and that count all the same.
    `measured` is False where nothing tells the shapes of some: no file, or an index's names that are not declared.
    """

    groups: tuple[Group, ...]
    missing: tuple[tuple[Slot, tuple[str, ...]], ...] = ()
    recognized: int = 0
    unrecognized: tuple[str, ...] = ()
    measured: bool = True
    computed: tuple[Group, ...] = ()

    by_name: dict[str, Group] = msgspec.field(default_factory=dict)

    __repr__ = brief

    @property
    def counted(self) -> tuple[Group, ...]:
        """The groups, and those of weights that no file holds."""
        return (*self.groups, *self.computed)

    def group_of(self, name: str) -> Group:
        """The group that a tensor belongs to."""
        if not self.by_name:
            self.by_name.update((name, group) for group in self.groups for name in group.names)
        return self.by_name[name]


def take_inventory(
    declaration: Declaration | None, checkpoint: Checkpoint, settings: dict[str, Any] | None = None
) -> Inventory:
    """The checkpoint's tensors under the declaration; without one, all under inferred roles.

    `settings` are those of quantization in config.json, for weights that are not declared.
    """
    slots = declaration.slots if declaration else ()
    if checkpoint.format == "config":
        return planned(slots)
    if checkpoint.format == "index":
        return _from_names(slots, checkpoint.names, checkpoint.path)
    tensors = checkpoint.tensors
    aliases = find_aliases(checkpoint, slots) or ({} if declaration else shared_tables(tensors))
    groups: list[Group] = []
    missing: list[tuple[Slot, tuple[str, ...]]] = []
    matched = 0
    for slot in slots:
        names: Sequence[str] = Names(slot.template, slot.ranges)
        try:
            entries = [*map(tensors.__getitem__, names)]
        except KeyError:
            if not slot.stored.optional:
                missing.append((slot, tuple(name for name in names if name not in tensors)))
            names = tuple(name for name in names if name in tensors)
            entries = [*map(tensors.__getitem__, names)]
        matched += len(names)
        groups += _stored_groups(slot, names, entries, aliases)
    unmatched: list[str] = []
    if matched < len(tensors):
        known = {name for group in groups for name in group.names}
        unmatched = [name for name in tensors if name not in known]
    groups += _inferred_groups(unmatched, tensors, aliases, checkpoint.path, settings)
    return Inventory(
        groups=tuple(groups),
        missing=tuple(missing),
        recognized=matched,
        unrecognized=tuple(unmatched),
        measured=bool(checkpoint.files),
        computed=_computed(slots, tensors.keys()),
    )


def find_aliases(checkpoint: Checkpoint, slots: Iterable[Slot] = ()) -> dict[str, str]:
    """Tensors that are the same bytes as another, as name -> the other's name; only PyTorch files have any.

    The other is the one that the slots require, or the first in the file.
    """
    if checkpoint.format != "pytorch":
        return {}
    sharing: dict[tuple[int, tuple[int, int], tuple[int, ...]], list[str]] = {}
    for name, entry in checkpoint.tensors.items():
        start, stop = entry.data_offsets
        # Pieces have offsets each; those of the entry only count them.
        if start != stop and not isinstance(entry, PiecedEntry):
            sharing.setdefault((entry.file, entry.data_offsets, entry.shape), []).append(name)
    several = [names for names in sharing.values() if len(names) > 1]
    shared = {name for names in several for name in names}
    wanted = [slot for slot in slots if not slot.stored.optional] if shared else []
    required = {name for slot in wanted for name in slot.names() if name in shared}
    aliases: dict[str, str] = {}
    for names in several:
        original = next((name for name in names if name in required), names[0])
        aliases |= {name: original for name in names if name != original}
    return aliases


def shared_tables(tensors: Mapping[str, TensorEntry]) -> dict[str, str]:
    """Copies of the table that encoder and decoder share (T5: `shared`), as name -> that table's name."""
    shared = next((name for name in SHARED if name in tensors), None)
    if shared is None:
        return {}
    ends = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight")
    copies = (n for n, entry in tensors.items() if n.endswith(ends) and entry.shape == tensors[shared].shape)
    return dict.fromkeys(copies, shared)


def planned(slots: Iterable[Slot]) -> Inventory:
    """What a declaration alone says: shapes without element types."""
    usual = (slot for slot in slots if slot.stored.computed or not slot.stored.optional)
    return Inventory(groups=tuple(map(_planned, usual)))


def _planned(slot: Slot) -> Group:
    return _group(slot, (), {(None, tuple(map(int, slot.stored.shape))): slot.count})


def _computed(slots: Iterable[Slot], names: AbstractSet[str]) -> tuple[Group, ...]:
    absent = (slot for slot in slots if slot.stored.computed and not any(name in names for name in slot.names()))
    return tuple(replace(_group(slot, (), {}), unstored=slot.stored.logical * slot.count) for slot in absent)


def _from_names(slots: Iterable[Slot], names: AbstractSet[str], where: Where) -> Inventory:
    """Names of an index with the declaration's shapes."""
    groups: list[Group] = []
    missing: list[tuple[Slot, tuple[str, ...]]] = []
    matched: set[str] = set()
    for slot in slots:
        present = tuple(name for name in slot.names() if name in names)
        if len(present) < slot.count and not slot.stored.optional:
            missing.append((slot, tuple(name for name in slot.names() if name not in names)))
        if present:
            shape = tuple(map(int, slot.stored.shape))
            groups.append(_group(slot, present, {} if slot.stored.opaque else {(None, shape): len(present)}))
            matched.update(present)
    unmatched = sorted(names - matched)
    groups += _nameless_shapes(unmatched, where)
    return Inventory(
        groups=tuple(groups),
        missing=tuple(missing),
        recognized=len(matched),
        unrecognized=tuple(unmatched),
        measured=not unmatched,
        computed=_computed(slots, names),
    )


def _stored_groups(
    slot: Slot, names: Sequence[str], entries: list[TensorEntry], aliases: dict[str, str]
) -> Iterable[Group]:
    if not aliases:
        if entries:
            yield _group(slot, names, _count(entries))
        return
    for alias in (False, True):
        chosen = [pair for pair in zip(names, entries, strict=True) if (pair[0] in aliases) == alias]
        if chosen:
            some, of_them = zip(*chosen, strict=True)
            yield _group(slot, some, _count(of_them), alias=alias)


def _count(entries: Sequence[TensorEntry]) -> Mapping[tuple[str | None, tuple[int, ...]], int]:
    dtypes, shapes = list(map(DTYPE, entries)), list(map(SHAPE, entries))
    # Nearly always all are alike, and to compare 90,000 is quicker than to hash them.
    if dtypes.count(dtypes[0]) == shapes.count(shapes[0]) == len(entries):
        return {(dtypes[0], shapes[0]): len(entries)}
    return Counter(zip(dtypes, shapes, strict=True))


def _group(
    slot: Slot, names: Sequence[str], counts: Mapping[tuple[str | None, tuple[int, ...]], int], *, alias: bool = False
) -> Group:
    stored = slot.stored
    ranges = slot.ranges
    if names and len(names) < slot.count:
        ranges = tuple(sorted(column) for column in columns(template_of(name)[1] for name in names))
        ranges = ranges[-len(slot.ranges) :] if slot.ranges else ()
    return Group(
        template=slot.template,
        ranges=ranges,
        kinds=slot.kinds,
        names=names,
        counts=counts,
        parts=stored.parts,
        kind=stored.kind,
        section=slot.section,
        shape=None if stored.opaque else stored.shape,
        packing=_packing(stored),
        scheme=stored.scheme,
        dtypes=stored.dtypes,
        bounds=stored.bounds,
        also=stored.also,
        chosen=slot.chosen,
        auxiliary=slot.auxiliary,
        alias=alias,
    )


def _packing(stored: Stored) -> tuple[int, int]:
    if stored.opaque:
        return stored.logical, 0
    return (stored.logical, stored.elements) if stored.kind is Kind.WEIGHT and stored.elements else (1, 1)


def _nameless_shapes(names: list[str], where: Where) -> Iterable[Group]:
    """Inferred groups of names whose shapes nothing tells: they count no elements."""
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(template_of(name)[0], []).append(name)
        _check_kinds(len(found), where)
    for template, members in found.items():
        ranges = tuple(sorted(column) for column in columns(template_of(name)[1] for name in members))
        yield _inferred(template, ranges, tuple(members), {}, dimensions=2)


def _inferred_groups(
    names: list[str],
    tensors: dict[str, TensorEntry],
    aliases: dict[str, str],
    where: Where,
    settings: dict[str, Any] | None,
) -> Iterable[Group]:
    if not names:
        return
    from weightscope.analyses.undeclared import packed_weights

    packed = packed_weights(names, tensors, settings)
    found: dict[tuple[str, int, bool, tuple[int, int]], list[tuple[str, tuple[int, ...]]]] = {}
    for name in names:
        template, numbers = template_of(name)
        packing = packed[name].packing if name in packed else (1, 1)
        found.setdefault((template, len(tensors[name].shape), name in aliases, packing), []).append((name, numbers))
        _check_kinds(len(found), where)
    for (template, dimensions, alias, packing), members in found.items():
        ranges = tuple(sorted(column) for column in columns(numbers for _, numbers in members))
        group_names = tuple(name for name, _ in members)
        counts = _count([tensors[name] for name in group_names])
        group = _inferred(template, ranges, group_names, counts, dimensions=dimensions, alias=alias)
        scale = is_side_beside(group_names[0], tensors)
        if (told := packed.get(group_names[0])) is not None:
            kind = Kind.WEIGHT if told.weights else Kind.SCALE
            group = replace(group, packing=packing if told.weights else (1, 1), scheme=told.scheme, kind=kind)
        yield replace(group, kind=Kind.SCALE) if scale else group


def _check_kinds(kinds: int, where: Where) -> None:
    if kinds > MAX_KINDS:
        raise CheckpointError(
            f"has over {MAX_KINDS:,} different names of undeclared tensors",
            where=where,
            hint="check that this is a checkpoint: no published model has so many",
            code="malformed-header",
        )


def _inferred(
    template: str,
    ranges: tuple[Indices, ...],
    names: tuple[str, ...],
    counts: Mapping[tuple[str | None, tuple[int, ...]], int],
    *,
    dimensions: int,
    alias: bool = False,
) -> Group:
    # Its patterns take longer to compile than a small checkpoint to read.
    from weightscope.analyses.infer import guess

    suggestion = guess(template, dimensions)
    return Group(
        template=template,
        ranges=ranges,
        kinds=("layer", *("expert",) * (len(ranges) - 1)) if ranges else (),
        names=names,
        counts=counts,
        parts=((suggestion.role, 1),),
        kind=suggestion.kind,
        section=suggestion.section,
        inferred=True,
        alias=alias,
    )
