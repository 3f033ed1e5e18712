"""Find names with words that stand where the architecture has others, and give out new names, none of them twice."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from weightscope.checkpoint.reader import Checkpoint
from weightscope.checkpoint.renaming import Change
from weightscope.components.walk import Slot

# An exchange is of so many words at most.
WORDS = 2


class Pair(NamedTuple):
    """`found` stands where `expected` should."""

    found: str
    expected: str


class _Place(NamedTuple):
    """A slot, the first of its names as it is stored, and how many words before and after the exchange agree."""

    slot: Slot
    name: str
    before: int
    after: int


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


def find_exchanges(checkpoint: Checkpoint, missing: Sequence[Slot], names: Names) -> list[Change]:
    """Exchanges of a word or two after the first (`weight_scale` for `weight_scale_inv`), where shapes agree too."""
    firsts = {word for slot in missing for word in slot.first_name().split(".") if word.isdigit()}
    strays = [
        words
        for words in (name.split(".") for name in checkpoint.names if name not in names.names and not names.has(name))
        if not any(word.isdigit() and word not in firsts for word in words) and not _is_masked(words, checkpoint)
    ]
    meant: dict[Pair, list[_Place]] = {}
    for slot in missing:
        if not names.has(slot.first_name()):
            wanted = slot.first_name().split(".")
            for words in strays:
                difference = _difference(words, wanted)
                name = ".".join(words)
                if difference and same_shape(checkpoint, name, slot):
                    pair, before, after = difference
                    meant.setdefault(pair, []).append(_Place(slot, name, before, after))
    voted = sorted(meant.items(), key=lambda item: -len(item[1]))
    changes = [_taken(pair, places, checkpoint, names) for pair, places in voted if len(places) > 1]
    return [change for change in changes if change.count]


def _difference(words: list[str], wanted: list[str]) -> tuple[Pair, int, int] | None:
    """What stands where something else is wanted, after which word, and before how many; None for other names."""
    before = after = 0
    shorter = min(len(words), len(wanted))
    while before < shorter and words[before] == wanted[before]:
        before += 1
    while after < shorter - before and words[-1 - after] == wanted[-1 - after]:
        after += 1
    found, expected = words[before : len(words) - after], wanted[before : len(wanted) - after]
    if not before or max(len(found), len(expected)) > WORDS or before + after < len(wanted) - WORDS:
        return None
    if any(word.isdigit() for word in (*found, *expected)):
        return None
    return Pair(".".join(found), ".".join(expected)), before, after


def _is_masked(words: list[str], checkpoint: Checkpoint) -> bool:
    """Whether it is one of torch's pruning pair: what counts is the product of the two."""
    stem = ".".join(words).removesuffix("_orig").removesuffix("_mask")
    return f"{stem}_mask" in checkpoint.names and f"{stem}_orig" in checkpoint.names


def _taken(pair: Pair, places: list[_Place], checkpoint: Checkpoint, names: Names) -> Change:
    """Give all members of these slots their names."""
    count = len(names.names)
    found = [pair.found] if pair.found else []
    for place in places:
        for name in place.slot.names():
            words = name.split(".")
            old = ".".join((*words[: place.before], *found, *words[len(words) - place.after :]))
            if old in checkpoint.names:
                names.take(old, name)
    return Change(
        found=pair.found,
        expected=pair.expected,
        place="inside" if places[0].after else "suffix",
        count=len(names.names) - count,
        example=places[0].name,
    )


def same_shape(checkpoint: Checkpoint, name: str, slot: Slot) -> bool:
    """Whether a stored tensor has the shape of a slot, and is no packed weight; an index alone tells no shapes."""
    entry = checkpoint.tensors.get(name)
    if entry is None:
        return True
    if slot.stored.dtypes and entry.dtype not in slot.stored.dtypes:
        return False
    packed = slot.stored.scheme is None and entry.dtype.startswith(("I", "U", "F8_"))
    return not packed and entry.shape == tuple(map(int, slot.stored.shape))
