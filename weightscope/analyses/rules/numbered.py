"""Layers and experts of which the config gives another number than there are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from itertools import product
from typing import NamedTuple

from weightscope.analyses.rules.subject import Subject
from weightscope.analyses.rules.truths import declared_with, value_of
from weightscope.brief import plural
from weightscope.components.base import Indices
from weightscope.components.walk import Slot
from weightscope.config_values import value_at
from weightscope.families.declaration import Declaration
from weightscope.findings import Finding
from weightscope.ranges import Title, expand, fill, summed, template_of

# How many keys are tried that give the number: each is a model to declare.
MOST_KEYS = 12


class Row(NamedTuple):
    """Modules under consecutive numbers: `stack` is what stands before the number, with {} for those of outer rows."""

    stack: str
    word: str

    def place(self, name: str) -> tuple[int, str] | None:
        """The number that a tensor has in this row, and the template of what follows; None if it lies elsewhere."""
        found = re.match(re.escape(self.stack).replace(r"\{\}", "[0-9]+") + r"([0-9]{1,9})\.", name)
        return (int(found[1]), template_of(name[found.end() :])[0]) if found else None

    def numbers(self, slot: Slot) -> Indices:
        """The numbers that a slot has in this row: none where it lies elsewhere, or predicts further tokens."""
        here = not slot.auxiliary and slot.template.startswith(f"{self.stack}{{}}.")
        return slot.ranges[self.stack.count("{}")] if here else ()


class Miscount(NamedTuple):
    """A row with another number of modules than the config's; `beyond` are names of modules that it lacks.

    `mistaken` are layers that the config takes for such as predict further tokens.
    """

    row: Row
    said: int
    found: int
    missing: frozenset[int]
    beyond: tuple[str, ...]
    mistaken: frozenset[int]
    key: str

    def explains(self, name: str) -> bool:
        """Whether a tensor is missing because its module is, or is another than the config says."""
        place = self.row.place(name)
        return place is not None and place[0] in self.missing | self.mistaken

    @property
    def finding(self) -> Finding:
        """What is there, what the config says, and what to do."""
        word, given = self.row.word, self.key or "config.json"
        return Finding(
            code="missing-tensor" if self.missing else "unexpected-tensor",
            severity="error",
            message=f"found {plural(self.found, word)} in {_shown(self.row.stack)}, but {given} "
            f"{'is' if self.key else 'gives'} {self.said:,}",
            tensors=tuple(summed(self.beyond)) or (self._whole(),),
            expected=self.said,
            actual=self.found,
            config=(self.key,) if self.key else (),
            hint=f"{f'set {self.key} to {self.found:,}' if self.key else 'correct config.json'} "
            f"if these are all {word}s of the model; otherwise restore the others",
        )

    def _whole(self) -> Title:
        """The modules as one."""
        template, numbers = f"{_shown(self.row.stack)}.{{}}", sorted(self.missing or self.mistaken)
        return Title(fill(template, [numbers]), tuple(expand(template, [numbers])))


def miscounts(subject: Subject) -> list[Miscount]:
    """Rows of which whole modules at the end are missing, or where more lie than the config says."""
    declaration, inventory = subject.declaration, subject.inventory
    if declaration is None or not subject.complete:
        return []
    absent = {name for _, names in inventory.missing for name in names}
    found = []
    for row, slots in _rows(declaration).items():
        declared = {number for slot in slots for number in row.numbers(slot)}
        there = {number for slot in slots if not slot.stored.optional for number in _present(row, slot, absent)}
        ends = {place[1] for slot in slots if (place := row.place(slot.first_name()))}
        places = {name: row.place(name) for name in inventory.unrecognized}
        beyond = {n: place[0] for n, place in places.items() if place and place[1] in ends and place[0] not in declared}
        missing = frozenset(number for number in declared if number > max(there, default=-1))
        mistaken = _mistaken(declaration, row, ends, absent)
        if there and (missing or beyond or mistaken):
            count = max({*there, *beyond.values(), *mistaken}) + 1
            key = _key(declaration, row, len(declared), count)
            found.append(Miscount(row, len(declared), count, missing, tuple(beyond), mistaken, key))
    return found


def _rows(declaration: Declaration) -> Mapping[Row, list[Slot]]:
    """The rows of layers and of experts, with the slots in each."""
    rows: dict[Row, list[Slot]] = {}
    for slot in declaration.slots:
        pieces = slot.template.split("{}")
        for axis, kind in enumerate(slot.kinds):
            if not slot.auxiliary and (kind == "expert" or (kind == "layer" and not axis)):
                rows.setdefault(Row("{}".join(pieces[: axis + 1]), kind), []).append(slot)
    return rows


def _mistaken(declaration: Declaration, row: Row, ends: AbstractSet[str], absent: AbstractSet[str]) -> frozenset[int]:
    """Layers said to predict further tokens that have nothing but what the layers before them have."""
    own: dict[int, set[str]] = {}
    for slot in declaration.slots if row.word == "layer" else ():
        if slot.auxiliary and slot.template.startswith(f"{row.stack}{{}}.") and not slot.stored.optional:
            for name in (name for name in slot.names() if name not in absent):
                number, end = row.place(name) or (0, "")
                own.setdefault(number, set()).add(end)
    return frozenset(number for number, held in own.items() if held <= ends)


def _present(row: Row, slot: Slot, absent: AbstractSet[str]) -> Iterator[int]:
    """The numbers of which a tensor is there, in any outer module and the first inner one."""
    axis = row.stack.count("{}")
    outer, inner = slot.ranges[:axis], [indices[0] for indices in slot.ranges[axis + 1 :]]
    for number in row.numbers(slot):
        if any(slot.template.format(*above, number, *inner) not in absent for above in product(*outer)):
            yield number


def _key(declaration: Declaration, row: Row, said: int, found: int) -> str:
    """The key that would give as many as there are; empty where none does."""
    data = declaration.config.data
    keys = [*_saying(data, said), *(key for key in declaration.family.defaults if value_of(declaration, key) == said)]
    keys.sort(key=lambda key: row.word not in key)
    for key in [*dict.fromkeys(keys)][:MOST_KEYS]:
        # Lists as long as there are layers have an entry for each, or happen to be so long.
        for lists in ({}, _resized(data, key, said, found)):
            slots = declared_with(declaration, {key: found, **lists}) or ()
            if len({number for slot in slots for number in row.numbers(slot)}) == found:
                return key
    return ""


def _saying(data: Mapping[str, object], said: int, outer: str = "") -> Iterator[str]:
    """The keys of a config that have this number."""
    for key, value in data.items():
        if isinstance(value, dict):
            yield from _saying(value, said, f"{outer}{key}.")
        elif value == said and isinstance(value, int):
            yield f"{outer}{key}"


def _resized(data: Mapping[str, object], key: str, said: int, found: int) -> dict[str, list[object]]:
    """Lists beside a key that have an entry for each layer, as long as there are layers."""
    outer, dot, _ = key.rpartition(".")
    part = value_at(data, outer) if outer else data
    lists = part.items() if isinstance(part, Mapping) else ()
    return {
        f"{outer}{dot}{name}": [*value, *value[-1:] * found][:found]
        for name, value in lists
        if isinstance(value, list) and len(value) == said
    }


def _shown(stack: str) -> str:
    return stack.rstrip(".").replace("{}", "*")
