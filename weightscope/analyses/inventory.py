"""Every tensor of a checkpoint under its role: the join of declaration and files that all other analyses read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import msgspec
from msgspec.structs import replace

from weightscope.analyses.groups import Counts, Group, count_of
from weightscope.analyses.inferred import inferred_groups, nameless_shapes
from weightscope.brief import brief
from weightscope.checkpoint.entry import PiecedEntry, TensorEntry
from weightscope.checkpoint.reader import Checkpoint
from weightscope.components.walk import Slot
from weightscope.errors import Where
from weightscope.families.declaration import Declaration
from weightscope.ranges import Names, columns, numbers_in
from weightscope.storage.base import Kind, Stored

SHARED = ("shared.weight", "model.shared.weight", "transformer.shared.weight")


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
    groups += inferred_groups(unmatched, tensors, aliases, checkpoint.path, settings)
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
    groups += nameless_shapes(unmatched, where)
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
            yield _group(slot, names, count_of(entries))
        return
    for alias in (False, True):
        chosen = [pair for pair in zip(names, entries, strict=True) if (pair[0] in aliases) == alias]
        if chosen:
            some, of_them = zip(*chosen, strict=True)
            yield _group(slot, some, count_of(of_them), alias=alias)


def _group(slot: Slot, names: Sequence[str], counts: Counts, *, alias: bool = False) -> Group:
    stored = slot.stored
    ranges = slot.ranges
    if names and len(names) < slot.count:
        ranges = tuple(sorted(column) for column in columns(numbers_in(slot.template, name) or () for name in names))
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
