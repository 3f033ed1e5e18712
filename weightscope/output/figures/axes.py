"""A field to draw numbers in: a logarithmic or linear scale at the left, names of places below."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from weightscope.output.figures.frame import TEXT, Box, label
from weightscope.output.web.elements import Markup, element

# Of the names below as many are shown as have room, and of the powers of ten at the left.
MOST_NAMES = 8
MOST_TICKS = 5
# The height between zero and the least number above it.
BELOW = 30


class LogScale(msgspec.Struct, frozen=True, kw_only=True):
    """Positive numbers from 10^`low` to 10^`high` on the height of a box, equal ratios at equal distances.

    Where there are zeros, the box has room for them below.
    """

    low: float
    high: float
    box: Box
    zeros: bool

    @classmethod
    def of(cls, values: Iterable[float | None], box: Box) -> LogScale:
        """A scale for all that is finite; it spans a factor of ten at least, so that noise looks small."""
        finite = [value for value in values if value is not None and value < math.inf]
        known = [math.log10(value) for value in finite if value > 0] or [0.0]
        low, high = min(known), max(known)
        half = max((high - low) / 2 * 1.1, 0.5)
        return cls(low=(low + high) / 2 - half, high=(low + high) / 2 + half, box=box, zeros=0 in finite)

    def y(self, value: float) -> float:
        """Where a number is; zero lies at the bottom."""
        if value <= 0:
            return self.box.bottom
        share = (math.log10(value) - self.low) / (self.high - self.low)
        floor = BELOW if self.zeros else 0
        return self.box.bottom - floor - max(0.0, min(share, 1.0)) * (self.box.height - floor)

    def ticks(self) -> Iterator[float]:
        """Some round numbers on the scale."""
        if self.zeros:
            yield 0.0
        first, last = max(math.ceil(self.low), -300), min(math.floor(self.high), 300)
        if last - first < 2:
            near = (digit * 10.0**power for power in range(first - 1, last + 1) for digit in (1, 2, 5))
            yield from (number for number in near if number and self.low <= math.log10(number) <= self.high)
        else:
            yield from (10.0**power for power in range(first, last + 1, (last - first) // MOST_TICKS + 1))


def log_axis(scale: LogScale) -> list[Markup]:
    """Lines across the box with their numbers at the left."""
    shapes = []
    for value in scale.ticks():
        y = scale.y(value)
        shapes += [
            element("line", x1=scale.box.x, x2=scale.box.right, y1=y, y2=y, stroke="currentColor", class_="ws-grid"),
            label(scale.box.x - 6, y + TEXT / 3, f"{value:g}", anchor="end", kind="ws-tick"),
        ]
    return shapes


def names_below(names: Sequence[str], box: Box) -> list[Markup]:
    """Names of equally wide places, each below the first of its places; of many names the first and every so many."""
    firsts = [place for place, name in enumerate(names) if name and (place == 0 or names[place - 1] != name)]
    step = math.ceil(len(firsts) / MOST_NAMES) or 1
    wide = box.width / max(len(names), 1)
    return [
        label(box.x + (place + 0.5) * wide, box.bottom + TEXT + 6, names[place], anchor="middle", kind="ws-tick")
        for place in firsts[::step]
    ]
