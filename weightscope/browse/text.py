"""Documents as text for a widget: the lines that the commands print, in the colours of the theme."""

from __future__ import annotations

from collections.abc import Iterable

from textual.content import Content

from weightscope.escapes import visible
from weightscope.output.document import Document
from weightscope.output.layout import Line, lay_out

# Rich's names of styles, in which documents are laid out, as the theme's own.
STYLES = {
    "bold red": "bold $text-error",
    "bold green": "bold $text-success",
    "yellow": "$text-warning",
    "cyan": "$text-accent",
}


def content_of(documents: Iterable[Document], width: int) -> Content:
    """The documents one below the other; nothing in them is taken for markup."""
    lines: list[Line] = []
    for document in documents:
        lines += [[], *lay_out(document, width)] if lines else lay_out(document, width)
    return Content("\n").join(map(_line, lines))


def _line(line: Line) -> Content:
    spans = ((visible(span.text), STYLES.get(span.style, span.style)) for span in line)
    return Content.assemble(*spans).rstrip()
