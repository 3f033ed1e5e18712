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
    if _is_coloured(stream):
        return _encodable(_in_colour(document, stream), stream)
    lines = lay_out(document, _terminal_width() if stream.isatty() else _columns())
    return _encodable("".join(f"{_plain(line)}\n" for line in lines), stream)


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


def _encodable(text: str, stream: TextIO) -> str:
    try:
        text.encode(stream.encoding or "utf-8")
    except UnicodeEncodeError:
        from weightscope.output.plain_text import in_ascii

        return in_ascii(text)
    return text
