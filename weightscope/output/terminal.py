"""Tables for a terminal, a pipe or a log; the only importer of Rich."""

from __future__ import annotations

import io
import os
import re
from typing import TextIO

from rich.console import Console
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from weightscope.errors import one_line
from weightscope.output import words
from weightscope.output.document import Document, Table
from weightscope.output.plain import show

STYLES = {"strong": "bold", "plain": "", "faint": "dim"}
SEVERITY_STYLES = {"error": "bold red", "warning": "yellow", "info": "cyan"}
# For streams that take no more than ASCII.
PARTIAL_BLOCKS = dict.fromkeys("▏▎▍▌▋▊▉", "")
ASCII = str.maketrans({"█": "#", "·": "-", "–": "-", "…": "~", "×": "x", "⌈": "", "⌉": "", **PARTIAL_BLOCKS})
# Blanks at a line's end, before or after the codes that end a colour.
TRAILING = re.compile(r"[ ]+((?:\x1b\[[0-9;]*m)*)$", re.MULTILINE)
WIDEST = 4000


def write_table(document: Document, stream: TextIO) -> None:
    """The whole document; colour and width follow the stream, and a pipe gets lines as long as they need to be."""
    interactive = stream.isatty()
    console = _console(stream)
    table = _rich_table(document.table, console.width if interactive else 100)
    if not interactive and "COLUMNS" not in os.environ:
        natural = _console(io.StringIO(), width=WIDEST).measure(table).maximum
        console = _console(stream, width=max(80, natural))
    with console.capture() as captured:
        _print(document, table, console)
    text = TRAILING.sub(r"\1", captured.get())
    try:
        text.encode(stream.encoding or "utf-8")
    except UnicodeEncodeError:
        text = text.translate(ASCII)
    stream.write(text)


def _console(stream: TextIO, width: int | None = None) -> Console:
    return Console(file=stream, highlight=False, markup=False, emoji=False, soft_wrap=False, width=width)


def _print(document: Document, table: RichTable, console: Console) -> None:
    console.print(Text.assemble((one_line(document.title), "bold"), "   ", one_line(document.subtitle)))
    if document.facts:
        console.print()
        console.print(_facts(document))
    if document.table.rows:
        console.print()
        console.print(table)
    if document.notes or document.findings or document.closing:
        console.print()
    for note in document.notes:
        console.print(Text(one_line(note), style="dim"))
    for finding in document.findings:
        style = SEVERITY_STYLES[finding.severity]
        line = Text.assemble((finding.severity, style), " ", (finding.code, "bold"), "  ", one_line(finding.message))
        console.print(line)
        if finding.hint:
            console.print(Padding(Text(one_line(finding.hint), style="dim"), (0, 0, 0, len(finding.severity) + 1)))
    if document.closing:
        console.print(Text(one_line(document.closing)))


def _facts(document: Document) -> RichTable:
    grid = RichTable.grid(padding=(0, 3, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for label, text in document.facts:
        grid.add_row(label, Text(one_line(text)))
    return grid


def _rich_table(table: Table, width: int) -> RichTable:
    rich = RichTable(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="underline")
    for column in table.columns:
        numeric = column.kind in ("count", "bytes", "share")
        rich.add_column(
            column.title, justify="right" if numeric else "left", no_wrap=column.kind != "name", overflow="fold"
        )
    bar_width = 8 if width < 100 else 16 if width < 160 else 32
    share = next((i for i, c in enumerate(table.columns) if c.kind == "share"), None) if table.bars else None
    if share is not None:
        rich.add_column("", no_wrap=True, min_width=bar_width)
    weights = table.weights or ("plain",) * len(table.rows)
    for row, weight in zip(table.rows, weights, strict=True):
        cells = [Text(show(cell, column)) for cell, column in zip(row, table.columns, strict=True)]
        if share is not None:
            value = row[share]
            cells.append(Text(words.bar(value, bar_width) if isinstance(value, float | int) else "", style="cyan"))
        rich.add_row(*cells, style=STYLES[weight])
    return rich
