"""The formats for programs, JSON and CSV, and how a single value reads."""

from __future__ import annotations

import io

from weightscope.errors import one_line
from weightscope.escapes import json_text, log_line
from weightscope.output import words
from weightscope.output.document import Cell, Column, Document

# What makes a spreadsheet take a cell for a formula; the wide ones do in East Asian settings.
FORMULA = tuple("=+-@＝＋－＠\t\r")


def to_json(document: Document) -> str:
    """The document's object, indented."""
    return json_text(document.data) + "\n"


def to_csv(document: Document) -> str:
    """The flat table with raw numbers: headings in lower case, shares as fractions."""
    table = document.records or document.table
    buffer = io.StringIO()
    import csv

    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([column.title.lower().replace(" ", "_") for column in table.columns])
    writer.writerows([csv_cell(cell) for cell in row] for row in table.rows)
    return buffer.getvalue()


def csv_cell(cell: Cell) -> Cell:
    """Numbers as they are; texts visible, and with an apostrophe before what a spreadsheet would compute."""
    if not isinstance(cell, str):
        return "" if cell is None else cell
    return f"'{log_line(cell)}" if cell.lstrip(" ").startswith(FORMULA) else log_line(cell)


def show(cell: Cell, column: Column, *, exact: bool = False) -> str:
    """A cell as people read it, on one line; `exact` with all digits."""
    if cell is None:
        return ""
    if isinstance(cell, str):
        return one_line(cell)
    if column.kind == "share":
        return words.percent(cell)
    if column.kind == "number":
        return f"{cell:.4g}"
    if column.kind == "bytes":
        return words.size(int(cell), exact=exact)
    return words.amount(int(cell), exact=exact) if column.kind == "amount" else words.count(int(cell))
