"""A row of numbers as a row of blocks."""

from __future__ import annotations

import math
from collections.abc import Sequence

BLOCKS = "▁▂▃▄▅▆▇█"
MISSING = "!"
ZERO = "0"
MOST = 60


def sparkline(values: Sequence[float | None]) -> str:
    """A block a value, on a logarithmic scale; more values than fit are shown by the largest of each few.

    The scale spans at least a factor of two, so that small changes look small. Zero is `0`, what is not finite `!`.
    """
    values = _thinned(values)
    known = [value for value in values if value is not None and value > 0]
    low, high = min(known, default=1.0), max(known, default=1.0)
    span = max(math.log(high / low), math.log(2))
    return "".join(_block(value, low, span) for value in values)


def _block(value: float | None, low: float, span: float) -> str:
    if value is None:
        return MISSING
    if not value:
        return ZERO
    height = math.log(value / low) / span
    return BLOCKS[min(int(height * len(BLOCKS)), len(BLOCKS) - 1)]


def _thinned(values: Sequence[float | None]) -> list[float | None]:
    """At most `MOST` values, each the largest of as many; what is not finite stays visible."""
    step = math.ceil(len(values) / MOST) or 1
    groups = [values[start : start + step] for start in range(0, len(values), step)]
    return [None if None in group else max(value for value in group if value is not None) for group in groups]
