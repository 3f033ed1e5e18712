"""A row of numbers as a row of blocks."""

from __future__ import annotations

import math
from collections.abc import Sequence

BLOCKS = "▁▂▃▄▅▆▇█"
MISSING = "!"
MOST = 60


def sparkline(values: Sequence[float | None]) -> str:
    """A block a value, on a logarithmic scale; more values than fit are shown by the largest of each few.

    The scale spans at least a factor of two, so that small changes look small. What is not finite is `!`.
    """
    values = _thinned(values)
    known = [value for value in values if value is not None and value > 0]
    if not known:
        return "".join(MISSING if value is None else BLOCKS[0] for value in values)
    low = min(known)
    span = max(math.log(max(known) / low), math.log(2))
    return "".join(_block(value, low, span) for value in values)


def _block(value: float | None, low: float, span: float) -> str:
    if value is None:
        return MISSING
    height = math.log(value / low) / span if value > 0 else 0.0
    return BLOCKS[min(int(height * len(BLOCKS)), len(BLOCKS) - 1)]


def _thinned(values: Sequence[float | None]) -> list[float | None]:
    """At most `MOST` values, each the largest of as many; what is not finite stays visible."""
    step = math.ceil(len(values) / MOST) or 1
    groups = [values[start : start + step] for start in range(0, len(values), step)]
    return [None if None in group else max(value for value in group if value is not None) for group in groups]
