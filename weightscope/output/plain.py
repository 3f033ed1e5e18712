"""The formats for programs, JSON and CSV, and how a single value reads."""

from __future__ import annotations

import io
from collections.abc import Iterator

from weightscope.errors import one_line
from weightscope.escapes import json_text, log_line
from weightscope.output import words
from weightscope.output.document import Cell, Column, Document, Table

# What makes a spreadsheet take a cell for a formula; the wide ones do in East Asian settings.
FORMULA = tuple("=+-@＝＋－＠\t\r")

# Beside numbers in units of a million and more, those below have all their digits.
FEW = 10_000


def to_json(document: Document) -> str:
    """The document's object, indented."""
    return "".join(json_parts(document))


def json_parts(document: Document) -> Iterator[str]:
    """The same in parts."""
    from weightscope.output.streamed import Streamed

    yield from document.data.parts() if isinstance(document.data, Streamed) else (json_text(document.data),)
    yield "\n"


def to_csv(document: Document) -> str:
    """The flat table with raw numbers: headings in lower case, shares as fractions."""
    table = document.records or document.table
    buffer = io.StringIO()
    import csv

    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([column.title.lower().replace(" ", "_") for column in table.columns])
    places = [6 if column.kind == "share" else None for column in table.columns]
    for row in table.rows:
        writer.writerow([_rounded(csv_cell(cell), digits) for cell, digits in zip(row, places, strict=True)])
    return buffer.getvalue()


def csv_cell(cell: Cell) -> Cell:
    """Numbers as they are; texts visible, and with an apostrophe before what a spreadsheet would compute."""
    if not isinstance(cell, str):
        return "" if cell is None else cell
    return f"'{log_line(cell)}" if cell.lstrip(" ").startswith(FORMULA) else log_line(cell)


def _rounded(cell: Cell, digits: int | None) -> Cell:
    return round(cell, digits) if digits and isinstance(cell, float) else cell


def show(cell: Cell, column: Column, *, exact: bool = False) -> str:
    """A cell as people read it, on one line; `exact` with all digits."""
    if cell is None:
        return ""
    if isinstance(cell, str):
        return one_line(cell)
    if column.kind == "share":
        return words.percent(cell)
    if column.kind == "number":
        return f"{cell or 0:.4g}"
    if column.kind == "bytes":
        return words.size(int(cell), exact=exact)
    is_short = column.kind == "amount" and not exact and cell >= FEW
    return words.short(int(cell)) if is_short else words.count(int(cell))


def with_all_digits(table: Table, place: int, *, exact: bool) -> bool:
    """Whether a column is read with all its digits: asked for, or of amounts of which none is a million."""
    amounts = [row[place] for row in table.rows if isinstance(row[place], int)]
    return exact or (
        table.columns[place].kind == "amount" and all(n < words.MANY for n in amounts if isinstance(n, int))
    )
