"""Tensors whose size is far from that of the same role in the layers around."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from statistics import median

import msgspec

from weightscope.analyses.stats.looked import Looked

# A layer is compared with so many before and after it.
AROUND = 2
FEWEST = 3


class Outlier(msgspec.Struct, frozen=True, kw_only=True):
    """A tensor, its root mean square, and the median of those around it."""

    looked: Looked
    rms: float
    usual: float

    @property
    def ratio(self) -> float:
        """How many times larger or smaller, at least 1."""
        return max(self.rms / self.usual, self.usual / self.rms)


def compared(seen: Iterable[Looked]) -> Iterator[Outlier]:
    """Each weight in a layer beside the same weight in the layers around, where there are enough."""
    kin: dict[object, list[Looked]] = {}
    for one in seen:
        known = one.known
        if one.tells and known.layer is not None and one.figures.rms:
            role = tuple(known.group.roles), known.group.kind, known.stack, known.group.section
            kin.setdefault(role, []).append(one)
    for members in kin.values():
        yield from _among(members)


def _among(members: Sequence[Looked]) -> Iterator[Outlier]:
    by_layer: dict[int, list[float]] = {}
    for one in members:
        by_layer.setdefault(one.known.layer or 0, []).append(one.figures.rms or 0.0)
    layers = sorted(by_layer)
    for one in members:
        place = layers.index(one.known.layer or 0)
        start = max(0, min(place - AROUND, len(layers) - 2 * AROUND - 1))
        around = [layer for layer in layers[start : start + 2 * AROUND + 1] if layer != layers[place]]
        sizes = [rms for layer in around for rms in by_layer[layer]]
        if len(sizes) >= FEWEST:
            yield Outlier(looked=one, rms=one.figures.rms or 0.0, usual=median(sizes))
