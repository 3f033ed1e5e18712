"""Bars of the stages of a pass: the RMS of each output on a logarithmic scale, with what is not finite marked."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from weightscope.output.figures.axes import LogScale, log_axis, names_below
from weightscope.output.figures.frame import TEXT, WIDTH, Box, frame, legend
from weightscope.output.web.elements import Markup, element

BOX = Box(64, 16, WIDTH - 76, 220)
# Of more stages than this neighbours share a bar, which shows the largest of them.
MOST = 320
NOT_FINITE = "ws-broken"


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """A stage: its name, a short one for the axis, its RMS or None if it is not finite, and the class of its colour."""

    name: str
    short: str
    rms: float | None
    kind: str = "ws-other"


def stage_bars(bars: Sequence[Bar], kinds: Sequence[tuple[str, str]], *, title: str, description: str) -> Markup:
    """A bar a stage; `kinds` are the classes of colours with what they stand for."""
    shown = _thinned(bars)
    scale = LogScale.of((bar.rms for bar in shown), BOX)
    wide = BOX.width / max(len(shown), 1)
    shapes = [_bar(bar, place, wide, scale) for place, bar in enumerate(shown)]
    entries = [*kinds, *([(NOT_FINITE, "NaN or infinity")] if any(bar.rms is None for bar in shown) else [])]
    height = BOX.bottom + TEXT * 2
    words, below = legend(entries, height)
    axis, names = log_axis(scale), names_below([bar.short for bar in shown], BOX)
    return frame("stages", height + below, *axis, *shapes, *names, *words, title=title, description=description)


def _bar(bar: Bar, place: int, wide: float, scale: LogScale) -> Markup:
    """A bar from the bottom; one that is not finite has the whole height, one of zeros a line at the bottom."""
    top = BOX.y if bar.rms is None else scale.y(bar.rms)
    drawn = element(
        "rect",
        x=BOX.x + place * wide,
        y=min(top, BOX.bottom - 1),
        width=wide * 0.85,
        height=max(BOX.bottom - top, 1.0),
        class_=f"ws-fill {NOT_FINITE if bar.rms is None else bar.kind}",
    )
    told = "NaN or infinity" if bar.rms is None else f"RMS {bar.rms:.4g}"
    return element("g", element("title", f"{bar.name}: {told}"), drawn)


def _thinned(bars: Sequence[Bar]) -> list[Bar]:
    """At most `MOST` bars, each the largest of as many; what is not finite stays visible."""
    step = math.ceil(len(bars) / MOST) or 1
    groups = (bars[start : start + step] for start in range(0, len(bars), step))
    return [max(group, key=lambda bar: math.inf if bar.rms is None else bar.rms) for group in groups]
