"""A laid-out document on a terminal, in a pipe or in a log; Rich is asked for colour, and only where a terminal is."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from typing import TextIO

from weightscope.escapes import log_line, visible
from weightscope.output.document import Document
from weightscope.output.layout import Line, lay_out


def write_table(document: Document, stream: TextIO) -> None:
    """The whole document; colour and width follow the stream, and a pipe gets lines as long as they need to be."""
    stream.write(table_text(document, stream))


def table_text(document: Document, stream: TextIO) -> str:
    """What `write_table` writes."""
    text = _text(document, stream)
    if _takes(stream, text):
        return text
    from weightscope.output.plain_text import document_in_ascii, in_ascii

    # Laid out once more: a formula is longer in ASCII.
    return in_ascii(_text(document_in_ascii(document), stream))


def _text(document: Document, stream: TextIO) -> str:
    if _is_coloured(stream):
        return _in_colour(document, stream)
    lines = lay_out(document, _terminal_width() if stream.isatty() else _columns())
    return "".join(f"{_plain(line)}\n" for line in lines)


def _in_colour(document: Document, stream: TextIO) -> str:
    from rich.console import Console
    from rich.text import Text

    width = _terminal_width() if stream.isatty() else _columns()
    console = Console(file=stream, width=width, force_terminal=True, color_system="standard", markup=False, emoji=False)
    lines: Iterable[Line] = lay_out(document, width)
    with console.capture() as captured:
        for line in lines:
            text = Text.assemble(*((visible(span.text), span.style) for span in line))
            text.rstrip()
            console.print(text, soft_wrap=True, highlight=False)
    return captured.get()


def _is_coloured(stream: TextIO) -> bool:
    """On a terminal that knows colour, or where FORCE_COLOR says so; never where NO_COLOR is set."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR", "0") not in ("", "0"):
        return True
    return stream.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")


def _terminal_width() -> int:
    return _columns() or shutil.get_terminal_size().columns


def _columns() -> int | None:
    """The width that COLUMNS says; None where it says none."""
    columns = os.environ.get("COLUMNS", "")
    return int(columns) or None if columns.isdecimal() and len(columns) < 10 else None


def _plain(line: Line) -> str:
    return log_line("".join(span.text for span in line).rstrip())


def _takes(stream: TextIO, text: str) -> bool:
    """Whether the stream's encoding has all that is in the text."""
    try:
        text.encode(stream.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True
