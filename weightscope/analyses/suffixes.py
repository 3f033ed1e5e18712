"""Find names whose end stands where the architecture has another, and give out new names, none of them twice."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from weightscope.checkpoint.reader import Checkpoint
from weightscope.checkpoint.renaming import Change
from weightscope.components.base import Slot


class Pair(NamedTuple):
    """`found` stands where `expected` should."""

    found: str
    expected: str


class Names:
    """New names as they are given out, none of them twice."""

    def __init__(self, declared: Collection[str], stored: Collection[str]) -> None:
        self.names: dict[str, str] = {}
        self.fitting = 0
        self._declared = declared
        self._taken = {name for name in stored if name in declared}

    def take(self, name: str, *candidates: str) -> None:
        """Give a stored name the first of these that is another and free."""
        new = next((c for c in candidates if c and c != name and c not in self._taken), None)
        if new is not None:
            self.names[name] = new
            self._taken.add(new)
            self.fitting += new in self._declared

    def has(self, name: str) -> bool:
        """Whether something has that name by now."""
        return name in self._taken


def find_suffixes(checkpoint: Checkpoint, missing: Iterable[Slot], names: Names) -> list[Change]:
    """Exchanges of the last word (`weight_scale` for `weight_scale_inv`), where the shapes agree as well."""
    strays: dict[str, list[str]] = {}
    for name in checkpoint.names:
        if name not in names.names and not names.has(name):
            strays.setdefault(name.rpartition(".")[0], []).append(name)
    meant: dict[Pair, list[tuple[Slot, str]]] = {}
    for slot in missing:
        if not names.has(slot.first_name()):
            for pair, name in _pairs(slot.first_name(), strays):
                if same_shape(checkpoint, name, slot):
                    meant.setdefault(pair, []).append((slot, name))
    return [_taken(pair, slots, checkpoint, names) for pair, slots in meant.items() if len(slots) > 1]


def _pairs(missing: str, strays: dict[str, list[str]]) -> Iterator[tuple[Pair, str]]:
    """What ends otherwise within the same module, and what goes on after the whole name."""
    module, _, leaf = missing.rpartition(".")
    for name in strays.get(module, []):
        yield Pair(name.rpartition(".")[2], leaf), name
    for name in strays.get(missing, []):
        yield Pair(name.removeprefix(missing), ""), name


def _taken(pair: Pair, slots: list[tuple[Slot, str]], checkpoint: Checkpoint, names: Names) -> Change:
    """Give all members of these slots their names."""
    before = len(names.names)
    for slot, _ in slots:
        for name in slot.names():
            old = name.removesuffix(pair.expected) + pair.found
            if old in checkpoint.names:
                names.take(old, name)
    count = len(names.names) - before
    return Change(found=pair.found, expected=pair.expected, place="suffix", count=count, example=slots[0][1])


def same_shape(checkpoint: Checkpoint, name: str, slot: Slot) -> bool:
    """Whether a stored tensor has the shape of a slot; an index alone tells no shapes."""
    entry = checkpoint.tensors.get(name)
    return entry is None or entry.shape == tuple(map(int, slot.stored.shape))
