"""A treemap: areas within areas, each as large as its share of the whole."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from weightscope.output.figures.frame import TEXT, WIDTH, Box, frame, label, legend
from weightscope.output.figures.squarify import squarify
from weightscope.output.web.elements import Markup, element

HEIGHT = 400
# A tile that is smaller than this has no words in it, only a tooltip.
LEAST = (40, 20)
# About the width of a letter.
LETTER = 7
# Of so many parts of one area the rest is drawn as one.
MOST = 200


class Area(msgspec.Struct, frozen=True, kw_only=True):
    """What is drawn as large as its `size`, with its `parts` in it; `kind` is the CSS class that colours it."""

    label: str
    size: float
    amount: str
    kind: str = "ws-other"
    parts: tuple[Area, ...] = ()


def treemap(areas: tuple[Area, ...], *, title: str, description: str) -> Markup:
    """Each area, divided among its parts, and a legend of the areas below."""
    areas = tuple(sorted((area for area in areas if area.size > 0), key=lambda area: -area.size))
    boxes = squarify([area.size for area in areas], Box(0, 0, WIDTH, HEIGHT))
    shapes: list[Markup] = []
    for area, box in zip(areas, boxes, strict=True):
        parts = _largest(area)
        inner = squarify([part.size for part in parts], box)
        shapes += [_tile(area, part, place) for part, place in zip(parts, inner, strict=True)]
        shapes.append(element("rect", **box._asdict(), fill="none", stroke="currentColor", class_="ws-outline"))
    entries = [(area.kind, f"{area.label} {area.amount}") for area in areas]
    words, below = legend(entries, HEIGHT)
    return frame("treemap", HEIGHT + below, *shapes, *words, title=title, description=description)


def _largest(area: Area) -> list[Area]:
    """The parts of an area, the largest first; an area without any is its own."""
    parts = sorted((part for part in area.parts if part.size > 0), key=lambda part: -part.size)
    if not parts:
        return [area]
    if len(parts) <= MOST:
        return parts
    rest = parts[MOST - 1 :]
    more = Area(label=f"{len(rest):,} more", size=sum(part.size for part in rest), amount="", kind=area.kind)
    return sorted([*parts[: MOST - 1], more], key=lambda part: -part.size)


def _tile(area: Area, part: Area, box: Box) -> Markup:
    name = part.label if part is area else f"{area.label}: {part.label}"
    return element(
        "g",
        element("title", f"{name} {part.amount}".rstrip()),
        element("rect", **box._asdict(), stroke="currentColor", class_=f"ws-fill ws-tile {area.kind}"),
        *_words(part, box),
    )


def _words(part: Area, box: Box) -> Iterator[Markup]:
    """The label, as much of it as has room, and the amount."""
    if box.width < LEAST[0] or box.height < LEAST[1]:
        return
    most = int((box.width - 8) / LETTER)
    shown = part.label if len(part.label) <= most else f"{part.label[: most - 1]}…"
    lines = [label(5, 3, shown, below=1)]
    if part.amount and box.height >= TEXT * 3:
        lines.append(label(5, 3, part.amount, below=2.2, kind="ws-amount"))
    yield element("svg", *lines, **box._asdict())
