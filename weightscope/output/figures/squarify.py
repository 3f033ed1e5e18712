"""Rectangles whose areas are as given sizes and that fill a box without gaps (Bruls, Huizing, van Wijk 2000)."""

from __future__ import annotations

from collections.abc import Sequence

from weightscope.output.figures.frame import Box


def squarify(sizes: Sequence[float], box: Box) -> list[Box]:
    """A rectangle for each size, as near to a square as can be; sizes are positive, the largest first."""
    scale = box.width * box.height / (sum(sizes) or 1)
    areas = [size * scale for size in sizes]
    boxes: list[Box] = []
    start = 0
    while start < len(areas):
        side = min(box.width, box.height)
        end = start + 1
        while end < len(areas) and _worst(areas[start : end + 1], side) <= _worst(areas[start:end], side):
            end += 1
        row, box = _row(areas[start:end], box)
        boxes += row
        start = end
    return boxes


def _worst(areas: Sequence[float], side: float) -> float:
    """The largest ratio of long to short side in a row of these areas along a side."""
    thick = sum(areas) / side if side else 0.0
    return max((max(thick * thick / area, area / (thick * thick)) for area in areas if area and thick), default=0.0)


def _row(areas: Sequence[float], box: Box) -> tuple[list[Box], Box]:
    """The areas along the shorter side of a box, and what is left of it."""
    total = sum(areas)
    boxes: list[Box] = []
    if box.width >= box.height:
        thick, y = (total / box.height if box.height else 0.0), box.y
        for area in areas:
            high = area / thick if thick else 0.0
            boxes.append(Box(box.x, y, thick, high))
            y += high
        return boxes, Box(box.x + thick, box.y, max(box.width - thick, 0.0), box.height)
    thick, x = (total / box.width if box.width else 0.0), box.x
    for area in areas:
        wide = area / thick if thick else 0.0
        boxes.append(Box(x, box.y, wide, thick))
        x += wide
    return boxes, Box(box.x, box.y + thick, box.width, max(box.height - thick, 0.0))
