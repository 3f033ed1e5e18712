"""Facts, tables and findings of the commands' documents, as HTML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from weightscope.findings import SEVERITIES, Finding
from weightscope.output.document import Cell, Column, Document, Table
from weightscope.output.overview import NOUNS
from weightscope.output.plain import show, with_all_digits
from weightscope.output.report.markup import Html, element, joined

NUMBERS = ("count", "amount", "bytes", "share", "number")
# Names of one finding that are listed.
MOST_NAMES = 50


def facts_list(facts: Iterable[tuple[str, str]]) -> Html:
    """A list of labels and what is said under each; lines without a label go with the one before."""
    grouped: list[tuple[str, list[str]]] = []
    for label, text in facts:
        if label or not grouped:
            grouped.append((label, [text]))
        else:
            grouped[-1][1].append(text)
    rows = ((element("dt", label), (element("dd", text) for text in texts)) for label, texts in grouped)
    return element("dl", rows, class_="facts")


def table_of(table: Table, caption: str, *, exact: bool = False) -> Html:
    """A table with headings; rows that matter more are marked, and shares have a bar."""
    if not table.rows:
        return Html()
    digits = [with_all_digits(table, place, exact=exact) for place in range(len(table.columns))]
    head = (element("th", column.title, scope="col", class_=_kind(column)) for column in table.columns)
    weights = table.weights or ("plain",) * len(table.rows)
    body = (
        element("tr", _cells(row, table.columns, digits), class_=weight)
        for row, weight in zip(table.rows, weights, strict=True)
    )
    return element(
        "div",
        element(
            "table",
            element("caption", caption),
            element("thead", element("tr", head)),
            element("tbody", body),
        ),
        class_="scrolls",
        tabindex="0",
        role="region",
        aria_label=caption,
    )


def _cells(row: Sequence[Cell], columns: Sequence[Column], digits: Sequence[bool]) -> Iterable[Html]:
    for place, (cell, column) in enumerate(zip(row, columns, strict=True)):
        text = show(cell, column, exact=digits[place])
        bar = ""
        if column.kind == "share" and isinstance(cell, float | int):
            bar = element("meter", text, min="0", max="1", value=f"{cell:.4f}", aria_hidden="true")
        if place == 0 and text:
            yield element("th", text, scope="row")
        else:
            yield element("td", bar, text, class_=_kind(column))


def _kind(column: Column) -> str | None:
    return "number" if column.kind in NUMBERS else None


def findings_list(findings: Sequence[Finding], *, ids: bool = False) -> Html:
    """Each finding with its severity, code, message, hint and tensors."""
    items = (
        _finding(finding, f"finding-{place}" if ids else None)
        for place, finding in sorted(enumerate(findings), key=lambda item: SEVERITIES.index(item[1].severity))
    )
    return element("ol", items, class_="findings") if findings else Html()


def _finding(finding: Finding, name: str | None) -> Html:
    facts = [
        ("Expected", _value(finding.expected)),
        ("Actual", _value(finding.actual)),
        ("Config", ", ".join(finding.config)),
        ("Do", finding.hint),
    ]
    return element(
        "li",
        element("p", severity(finding), " ", element("code", finding.code)),
        element("p", finding.message, class_="message"),
        facts_list((label, text) for label, text in facts if text),
        _names(finding.tensors),
        id=name,
        class_=finding.severity,
    )


def severity(finding: Finding) -> Html:
    """The severity as a badge, in the word that the commands use."""
    return element("span", NOUNS[finding.severity], class_=f"badge {finding.severity}")


def _names(names: Sequence[str]) -> Html | None:
    if not names:
        return None
    shown = (element("li", element("code", name)) for name in names[:MOST_NAMES])
    more = element("li", f"and {len(names) - MOST_NAMES:,} more") if len(names) > MOST_NAMES else None
    listed = element("ul", shown, more, class_="plain")
    if len(names) < 4:
        return listed
    return element("details", element("summary", f"{len(names):,} tensors or groups of tensors"), listed)


def _value(value: object) -> str:
    if value is None:
        return ""
    return f"[{', '.join(map(str, value))}]" if isinstance(value, list | tuple) else str(value)


def document_body(document: Document, caption: str) -> Html:
    """All that a document says below its title."""
    return joined(
        (
            facts_list(document.facts),
            table_of(document.table, caption, exact=document.exact),
            (element("p", note, class_="note") for note in document.notes),
            element("p", document.closing, class_="note") if document.closing else None,
        )
    )
