"""What every figure has: a size that scales, a title and a description for who cannot see it, a class to style it."""

from __future__ import annotations

from typing import NamedTuple

from weightscope.output.web.elements import Markup, element

# Units of a figure's width; a page scales it to the room that there is.
WIDTH = 720
# Of text in the same units. In a narrow place the style sheet makes it larger.
TEXT = 13
# The width of a character in a narrow place, at most.
CHARACTER = 12


class Box(NamedTuple):
    """A rectangle: its left upper corner and its size."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """Its right edge."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """Its lower edge."""
        return self.y + self.height


def frame(kind: str, height: float, *shapes: str, title: str, description: str) -> Markup:
    """An SVG image of the figures' common width."""
    return element(
        "svg",
        element("title", title),
        element("desc", description),
        *shapes,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {WIDTH} {height:g}",
        class_=f"ws-figure ws-{kind}",
        role="img",
        aria_label=f"{title}. {description}",
    )


def label(
    x: float, y: float, words: str, *, anchor: str = "start", below: float = 0, kind: str | None = None
) -> Markup:
    """Text whose baseline begins, ends or is centred at a point, or so many lines below it."""
    dy = f"{below}em" if below else None
    return element("text", words, x=x, y=y, dy=dy, text_anchor=anchor, font_size=TEXT, fill="currentColor", class_=kind)


def legend(entries: list[tuple[str, str]], top: float) -> tuple[list[Markup], float]:
    """Coloured squares with words, as (class, words), and the height that they take."""
    longest = max((len(words) for _, words in entries), default=0)
    columns = max(1, min(4, WIDTH // (24 + longest * CHARACTER)))
    wide, high = WIDTH / columns, TEXT * 2
    shapes = []
    for number, (kind, words) in enumerate(entries):
        x, y = number % columns * wide, top + number // columns * high + high
        shapes += [
            element("rect", x=x + 1, y=y - 11, width=12, height=12, rx=2, class_=f"ws-fill {kind}"),
            label(x + 20, y, words),
        ]
    return shapes, (len(entries) + columns - 1) // columns * high + high / 2
