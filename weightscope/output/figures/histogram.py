"""A histogram: how many values are in each of several ranges."""

from __future__ import annotations

from collections.abc import Sequence

from weightscope.output.figures.axes import names_below
from weightscope.output.figures.frame import TEXT, WIDTH, Box, frame, label
from weightscope.output.web.elements import Markup, element

BOX = Box(24, 24, WIDTH - 48, 150)


def histogram(counts: Sequence[int], names: Sequence[str], *, title: str, description: str) -> Markup:
    """A bar for each count, with its name; something is visible of every count above zero."""
    largest = max(counts, default=0)
    wide = BOX.width / max(len(counts), 1)
    shapes = []
    for place, (count, name) in enumerate(zip(counts, names, strict=True)):
        high = max(count / largest * BOX.height, 1.0) if count else 0.0
        bar = element(
            "rect",
            x=BOX.x + place * wide,
            y=BOX.bottom - high,
            width=wide * 0.9,
            height=high,
            class_="ws-fill ws-bar-of-many",
        )
        shapes.append(element("g", element("title", f"{name}: {count:,}"), bar))
    most = label(BOX.x, TEXT + 2, f"most: {largest:,}", kind="ws-tick")
    base = element(
        "line", x1=BOX.x, x2=BOX.right, y1=BOX.bottom, y2=BOX.bottom, stroke="currentColor", class_="ws-axis"
    )
    height = BOX.bottom + TEXT * 2
    return frame(
        "histogram", height, *shapes, base, most, *names_below(names, BOX), title=title, description=description
    )
