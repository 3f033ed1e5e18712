"""A figure as a Python object: shown by a notebook, saved as a file."""

from __future__ import annotations

from pathlib import Path

import msgspec

from weightscope.brief import clipped
from weightscope.errors import UsageError
from weightscope.output import words
from weightscope.output.web.elements import Markup, element, together

# Beside the colours: what a page says where a figure is in one.
GROUND = """
svg { color: #1f2328; background: #fff; }
@media (prefers-color-scheme: dark) { svg { color: #e6edf3; background: #0d1117; } }
"""


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """A picture, as SVG.

    Attributes:
        title: what it shows, in words.
        drawn: the SVG for a page that has the style sheet; `svg` stands alone.
    """

    title: str
    drawn: str

    def __repr__(self) -> str:
        return f"Figure({clipped(self.title)}: {words.size(len(self.svg.encode()))} of SVG)"

    @property
    def svg(self) -> str:
        """The SVG with its style within, as it is saved."""
        from weightscope.output.web.style import figure_style

        start, end, rest = self.drawn.partition(">")
        return together(Markup(start + end), element("style", Markup(GROUND + figure_style())), Markup(rest))

    def _repr_html_(self) -> str:
        from weightscope.output.web.documents import figure_html
        from weightscope.output.web.style import style

        shown = figure_html(self.title, self.drawn)
        return element("div", element("style", Markup(style())), shown, class_="weightscope")

    def save(self, path: str | Path) -> None:
        """Write the SVG to a file.

        Raises:
            UsageError: the name does not end in .svg, or the file cannot be written.
        """
        from weightscope.output.write import write_file

        where = Path(path)
        if where.suffix.lower() != ".svg":
            raise UsageError("figures are saved as SVG", where=where, hint="choose a name that ends in .svg")
        write_file(where, lambda file: file.write(self.svg.encode()))
