"""A document as HTML: a heading, facts, a table, findings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from weightscope.findings import Finding
from weightscope.output.document import Cell, Column, Document, Table
from weightscope.output.plain import show, with_all_digits
from weightscope.output.web.elements import Markup, element, together

BAR_WIDTH = 100


def document_html(document: Document, *, level: int = 2, most: int | None = None) -> Markup:
    """The document as a section.

    Args:
        document: what a command says.
        level: of its heading, 1 to 6.
        most: how many rows and findings are shown at most; None for all.
    """
    verdict = (
        element("strong", document.verdict, class_=f"ws-verdict ws-{document.verdict}") if document.verdict else ""
    )
    subtitle = together(verdict, " " if verdict and document.subtitle else "", document.subtitle)
    parts = [
        element(f"h{level}", document.title, class_="ws-title"),
        element("p", subtitle, class_="ws-subtitle") if subtitle else "",
        facts_html(document.facts) if document.facts else "",
        table_html(document.table, caption=document.title, exact=document.exact, most=most)
        if document.table.rows
        else "",
        *(element("p", note, class_="ws-note") for note in document.notes),
        findings_html(document.findings, most=most) if document.findings else "",
        element("p", document.closing, class_="ws-closing") if document.closing else "",
    ]
    return element("section", *parts, class_="ws-document")


def facts_html(facts: Iterable[tuple[str, str]]) -> Markup:
    """Facts as (label, text); one without a label belongs to the one before."""
    parts: list[Markup] = []
    for label, words in facts:
        parts += [element("dt", label)] if label else []
        parts.append(element("dd", words))
    return element("dl", *parts, class_="ws-facts")


def table_html(table: Table, *, caption: str, exact: bool = False, most: int | None = None) -> Markup:
    """A table that scrolls sideways where it is too wide; the caption is for screen readers.

    Args:
        table: columns and rows.
        caption: what the table is of.
        exact: amounts and bytes with all their digits.
        most: how many rows are shown at most; None for all.
    """
    digits = [with_all_digits(table, place, exact=exact) for place in range(len(table.columns))]
    headings = [element("th", column.title, scope="col", class_=_class_of(column)) for column in table.columns]
    headings += [element("td", class_="ws-bar")] if table.bars else []
    weights = table.weights or ("plain",) * len(table.rows)
    rows = [
        element("tr", *_cells(row, table, digits), class_=None if weight == "plain" else f"ws-{weight}")
        for row, weight in zip(table.rows[:most], weights, strict=False)
    ]
    whole = element(
        "table",
        element("caption", caption),
        element("thead", element("tr", *headings)),
        element("tbody", *rows),
        class_="ws-table",
    )
    return together(element("div", whole, class_="ws-scroll"), _more(len(table.rows), most, "rows"))


def figure_html(title: str, drawn: str) -> Markup:
    """A figure below its title."""
    return element("figure", element("figcaption", title), Markup(drawn))


def findings_html(findings: Sequence[Finding], *, most: int | None = None) -> Markup:
    """Findings as a list, each with its severity, code, message and hint."""
    shown = element("ul", *map(_finding, findings[:most]), class_="ws-findings")
    return together(shown, _more(len(findings), most, "findings"))


def _finding(finding: Finding) -> Markup:
    return element(
        "li",
        element("strong", finding.severity, class_=f"ws-{finding.severity}"),
        " ",
        element("code", finding.code),
        " ",
        element("span", finding.message),
        element("span", finding.hint, class_="ws-hint") if finding.hint else "",
    )


def _cells(row: tuple[Cell, ...], table: Table, digits: Sequence[bool]) -> list[Markup]:
    """The cells of a row; the first words in it are its heading."""
    cells: list[Markup] = []
    headed = False
    for cell, column, all_digits in zip(row, table.columns, digits, strict=True):
        shown = show(cell, column, exact=all_digits)
        is_heading = not headed and bool(shown) and isinstance(cell, str)
        headed = headed or is_heading
        content = element("code", shown) if column.kind == "name" and shown else shown
        cells.append(
            element("th", content, scope="row", class_=_class_of(column))
            if is_heading
            else element("td", content, class_=_class_of(column))
        )
    return [*cells, _bar(row, table)] if table.bars else cells


def _bar(row: tuple[Cell, ...], table: Table) -> Markup:
    """The share of the row as a bar; the share itself stands beside it as text."""
    shares = [cell for cell, column in zip(row, table.columns, strict=True) if column.kind == "share"]
    share = shares[0] if shares else None
    if not isinstance(share, int | float):
        return element("td", class_="ws-bar")
    width = max(0.0, min(1.0, share)) * BAR_WIDTH
    bar = element("rect", width=max(width, 0.5) if share > 0 else 0, height=8, rx=1)
    drawn = element(
        "svg", bar, viewBox=f"0 0 {BAR_WIDTH} 8", preserveAspectRatio="none", aria_hidden="true", focusable="false"
    )
    return element("td", drawn, class_="ws-bar")


def _class_of(column: Column) -> str | None:
    return None if column.kind in ("text", "name") else "ws-number"


def _more(total: int, most: int | None, noun: str) -> Markup:
    """A line that says how many are left out."""
    left = 0 if most is None else total - most
    return element("p", f"and {left:,} more {noun}", class_="ws-note") if left > 0 else Markup()
