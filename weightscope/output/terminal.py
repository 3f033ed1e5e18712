"""Tables for a terminal, a pipe or a log; the only importer of Rich."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from typing import Literal, TextIO

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from weightscope.errors import one_line
from weightscope.output import words
from weightscope.output.document import Column, Document, Table, Weight
from weightscope.output.plain import show

STYLES = {"strong": "bold", "plain": "", "faint": "dim"}
SEVERITY_STYLES = {"error": "bold red", "warning": "yellow", "info": "cyan"}
# For streams that take no more than ASCII.
PARTIAL_BLOCKS = dict.fromkeys("▏▎▍▌▋▊▉", "")
ASCII = str.maketrans({"█": "#", "·": "-", "–": "-", "…": "~", "×": "x", "⌈": "", "⌉": "", **PARTIAL_BLOCKS})
# Blanks at a line's end, and the codes that colour them.
TRAILING = re.compile(r"(?: |\x1b\[[0-9;]*m)+$", re.MULTILINE)
WIDEST = 4000


def write_table(document: Document, stream: TextIO) -> None:
    """The whole document; colour and width follow the stream, and a pipe gets lines as long as they need to be."""
    console = _console(stream)
    bounded = stream.isatty() or "COLUMNS" in os.environ
    table = _rich_table(document.table, console.width if bounded else 100)
    natural = _console(io.StringIO(), width=WIDEST).measure(table).maximum
    if not bounded:
        console = _console(stream, width=max(80, natural))
    with console.capture() as captured:
        if natural > console.width and document.table.columns[0].kind == "name":
            _print(document, _stacked(document.table, console.width), console)
        else:
            _print(document, table, console)
    text = TRAILING.sub(lambda end: end[0].replace(" ", ""), captured.get())
    try:
        text.encode(stream.encoding or "utf-8")
    except UnicodeEncodeError:
        text = text.translate(ASCII)
    stream.write(text)


def _console(stream: TextIO, width: int | None = None) -> Console:
    return Console(file=stream, highlight=False, markup=False, emoji=False, soft_wrap=False, width=width)


def _print(document: Document, table: RenderableType, console: Console) -> None:
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
        rich.add_column(column.title, justify=_side(column), no_wrap=column.kind != "name", overflow="fold")
    if table.bars:
        rich.add_column("", no_wrap=True, min_width=_bar_width(width))
    for cells, weight in _cells(table, width):
        rich.add_row(*cells, style=STYLES[weight])
    return rich


def _stacked(table: Table, width: int) -> Group:
    """Each name on a line of its own and the rest of its row below it: for terminals too narrow for long names."""
    rows = list(_cells(table, width))
    titles = [Text(column.title) for column in table.columns] + ([Text("")] if table.bars else [])
    widths = [
        max(cell.cell_len for cell in column) for column in zip(titles, *(cells for cells, _ in rows), strict=True)
    ]
    sides = [_side(column) for column in table.columns] + ["left"]

    def lines(cells: list[Text], style: str) -> Iterator[Text]:
        yield Text.assemble(cells[0], style=style)
        below = Text("   ", style=style)
        for cell, cell_width, side in list(zip(cells, widths, sides, strict=False))[1:]:
            cell.align("right" if side == "right" else "left", cell_width)
            below.append_text(cell).append("  ")
        yield below

    return Group(*lines(titles, "bold"), *(line for cells, weight in rows for line in lines(cells, STYLES[weight])))


def _cells(table: Table, width: int) -> Iterator[tuple[list[Text], Weight]]:
    """Each row's cells, its bar last."""
    share = next((i for i, column in enumerate(table.columns) if column.kind == "share"), None)
    plain: Weight = "plain"
    for row, weight in zip(table.rows, table.weights or [plain] * len(table.rows), strict=True):
        cells = [Text(show(cell, column)) for cell, column in zip(row, table.columns, strict=True)]
        if table.bars:
            value = None if share is None else row[share]
            drawn = words.bar(value, _bar_width(width)) if isinstance(value, float | int) else ""
            cells.append(Text(drawn, style="cyan"))
        yield cells, weight


def _side(column: Column) -> Literal["left", "right"]:
    return "right" if column.kind in ("count", "bytes", "share") else "left"


def _bar_width(width: int) -> int:
    return 8 if width < 100 else 16 if width < 160 else 32
