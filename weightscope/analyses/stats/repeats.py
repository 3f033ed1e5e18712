"""Tensors with the same content under several names, and layers that are copies of others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from weightscope.analyses.stats.looked import Looked
from weightscope.analyses.tying import equal_bytes
from weightscope.checkpoint.reader import Checkpoint

Repeats = tuple[tuple[str, ...], ...]


def find_repeats(checkpoint: Checkpoint, seen: Iterable[Looked]) -> Repeats:
    """The names of weights that have the same type, shape and bytes as others; those of one number are left out.

    Only tensors of which all figures are equal are compared byte by byte: they are read again.
    """
    alike: dict[object, list[str]] = {}
    for one in seen:
        if one.tells:
            entry = one.known.source.entry
            alike.setdefault((entry.dtype, entry.shape, one.figures), []).append(one.name)
    return tuple(group for names in alike.values() for group in _equal(checkpoint, names))


def copied_layers(seen: Iterable[Looked], repeats: Repeats) -> Iterator[tuple[str, int, int]]:
    """(stack, layer, earlier layer): every weight of the one has the content of its counterpart in the other."""
    number = {name: place for place, names in enumerate(repeats) for name in names}
    layers: dict[str, dict[int, dict[object, int | None]]] = {}
    for one in seen:
        known = one.known
        if one.tells and known.stack is not None and known.layer is not None:
            key = (known.group.template, known.group.numbers_of(one.name)[1:])
            layers.setdefault(known.stack, {}).setdefault(known.layer, {})[key] = number.get(one.name)
    for stack, contents in layers.items():
        for layer in sorted(contents):
            own = contents[layer]
            if None in own.values():
                continue
            earlier = next((other for other in sorted(contents) if other < layer and contents[other] == own), None)
            if earlier is not None:
                yield stack, layer, earlier


def _equal(checkpoint: Checkpoint, names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Groups of two names or more with the same bytes."""
    left = list(names)
    while len(left) > 1:
        first, *others = left
        same = [name for name in others if equal_bytes(checkpoint, first, name)]
        if same:
            yield first, *same
        left = [name for name in others if name not in same]
