"""Lines over the layers: how large a role's weights are in each, with the layers that stand out marked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from weightscope.output.figures.axes import LogScale, log_axis, names_below
from weightscope.output.figures.frame import TEXT, WIDTH, Box, frame, label, legend
from weightscope.output.web.elements import Markup, element

BOX = Box(64, 16, WIDTH - 76, 220)
# Colours that the style sheet has; more lines begin again with the first.
COLOURS = 8


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A number a layer, None where it is not finite; `marked` are the places of those that stand out.

    Layers at `absent` places have no such weights.
    """

    label: str
    values: tuple[float | None, ...]
    absent: tuple[int, ...] = ()
    marked: tuple[int, ...] = ()


def profile(lines: Sequence[Line], names: Sequence[str], *, title: str, description: str) -> Markup:
    """The lines on a logarithmic scale; `names` are those of the layers."""
    scale = LogScale.of((value for line in lines for value in line.values), BOX)
    shapes = [*log_axis(scale), *names_below(names, BOX)]
    for number, line in enumerate(lines):
        shapes += _line(line, f"ws-colour-{number % COLOURS}", names, scale)
    height = BOX.bottom + TEXT * 2
    if len(lines) > 1:
        entries = [(f"ws-colour-{number % COLOURS}", line.label) for number, line in enumerate(lines)]
        words, below = legend(entries, height)
        return frame("profile", height + below, *shapes, *words, title=title, description=description)
    return frame("profile", height, *shapes, title=title, description=description)


def _line(line: Line, kind: str, names: Sequence[str], scale: LogScale) -> Iterator[Markup]:
    wide = BOX.width / max(len(names), 1)
    path, joined = [], False
    points = [(place, value) for place, value in enumerate(line.values) if place not in line.absent]
    for place, value in points:
        if value is not None:
            path.append(f"{'L' if joined else 'M'}{BOX.x + (place + 0.5) * wide:.1f} {scale.y(value):.1f}")
        joined = value is not None
    yield element("path", d=Markup(" ".join(path)), fill="none", class_=f"ws-line {kind}")
    for place, value in points:
        x = BOX.x + (place + 0.5) * wide
        told = f"{line.label}, layer {names[place]}: {'not finite' if value is None else f'{value:.4g}'}"
        if value is None or place in line.marked:
            yield from _mark(x, BOX.y if value is None else scale.y(value), names[place], told)
        else:
            dot = element("circle", cx=x, cy=scale.y(value), r=2.5, class_=f"ws-fill ws-dot {kind}")
            yield element("g", element("title", told), dot)


def _mark(x: float, y: float, name: str, told: str) -> Iterator[Markup]:
    """A ring, and the layer's name beside it, on the side that has room."""
    right = x < BOX.x + BOX.width * 0.9
    yield element("g", element("title", told), element("circle", cx=x, cy=y, r=6, fill="none", class_="ws-mark"))
    beside = x + 10 if right else x - 10
    yield label(beside, max(y + TEXT / 3, TEXT), name, anchor="start" if right else "end", kind="ws-marked")
