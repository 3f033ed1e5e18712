"""The formats that need no terminal: JSON, CSV, Markdown."""

from __future__ import annotations

import csv
import io

import msgspec

from weightscope.errors import one_line
from weightscope.findings import Finding
from weightscope.output import words
from weightscope.output.document import Cell, Column, Document, Table


def to_json(document: Document) -> str:
    """The document's object, indented."""
    return msgspec.json.format(msgspec.json.encode(document.data), indent=2).decode() + "\n"


def to_csv(document: Document) -> str:
    """The flat table with raw numbers: headings in lower case, shares as fractions."""
    table = document.records or document.table
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([column.title.lower().replace(" ", "_") for column in table.columns])
    writer.writerows([["" if cell is None else cell for cell in row] for row in table.rows])
    return buffer.getvalue()


def to_markdown(document: Document) -> str:
    """A heading, the facts as a list, the table, the findings as a list."""
    lines = [f"## {_escape(document.title)}", "", _escape(document.subtitle), ""]
    lines += [f"- **{label}**: {_escape(text)}" for label, text in document.facts]
    if document.facts:
        lines.append("")
    lines += _table(document.table) if document.table.columns else []
    lines += ["", *(f"- {_escape(note)}" for note in document.notes)] if document.notes else []
    if document.findings:
        lines += ["", *(_finding(finding) for finding in document.findings)]
    if document.closing:
        lines += ["", _escape(document.closing)]
    return "\n".join(lines) + "\n"


def _finding(finding: Finding) -> str:
    hint = f" *{_escape(finding.hint)}*" if finding.hint else ""
    return f"- **{finding.severity}** `{finding.code}`: {_escape(finding.message)}{hint}"


def _table(table: Table) -> list[str]:
    titles = " | ".join(column.title for column in table.columns)
    rules = " | ".join("---" if column.kind in ("text", "name") else "---:" for column in table.columns)
    rows = (
        " | ".join(_cell(cell, column) for cell, column in zip(row, table.columns, strict=True)) for row in table.rows
    )
    return [f"| {titles} |", f"| {rules} |", *(f"| {row} |" for row in rows)]


def _cell(cell: Cell, column: Column) -> str:
    text = _escape(show(cell, column))
    return f"`{text}`" if column.kind == "name" and text else text


def show(cell: Cell, column: Column) -> str:
    """A cell as people read it, on one line."""
    if cell is None:
        return ""
    if isinstance(cell, str):
        return one_line(cell)
    if column.kind == "share":
        return words.percent(cell)
    if column.kind == "number":
        return f"{cell:.4g}"
    return words.size(int(cell)) if column.kind == "bytes" else words.count(int(cell))


def _escape(text: str) -> str:
    return one_line(text).replace("|", "\\|").replace("<", "&lt;")
