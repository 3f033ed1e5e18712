"""How a document looks: lines of styled text, laid out for a width; knows nothing of terminals."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

import msgspec

from weightscope.errors import one_line
from weightscope.output import words
from weightscope.output.document import Cell, Column, Document, Table, Weight
from weightscope.output.plain import show, with_all_digits

WEIGHT_STYLES = {"strong": "bold", "plain": "", "faint": "dim"}
SEVERITY_STYLES = {"error": "bold red", "warning": "yellow", "info": "cyan"}
VERDICT_STYLES = {"ok": "bold green", "failed": "bold red"}
GAP = "  "
BETWEEN = " · "
# A blank that no line ends at; what others wrote has none that is not spelled out.
TIED = "\xa0"
# A part of a list that is longer than this may be folded.
WHOLE = 40
# Characters of a fact; the longest paragraph about a finding has some 1,000.
FACT = 4_000


class Span(msgspec.Struct, frozen=True):
    """Text in one style, named as Rich names styles; empty for none."""

    text: str
    style: str = ""


Line = list[Span]


def lay_out(document: Document, width: int | None) -> Iterator[Line]:
    """The document's lines; without a width, lines are as long as they need to be and prose is kept to 80."""
    prose = width or 80
    yield from _heading_lines(document, prose)
    if document.facts:
        yield []
        label_width = max(len(label) for label, _ in document.facts)
        for label, text in document.facts:
            head = [Span(f"{label:<{label_width}}{GAP}", "dim")]
            yield from _fold(head, one_line(text, FACT), prose, label_width + len(GAP))
    if document.table.rows:
        yield []
        yield from _table(document.table, width, exact=document.exact)
    if document.notes or document.findings or document.closing:
        yield []
    for note in document.notes:
        yield from _fold([], one_line(note), prose, 0, "dim")
    for finding in document.findings:
        head = [Span(finding.severity, SEVERITY_STYLES[finding.severity]), Span(" "), Span(finding.code, "bold")]
        indent = len(finding.severity) + 1
        yield from _fold(head, f"  {one_line(finding.message)}", prose, indent)
        if finding.hint:
            yield from _fold([Span(" " * indent)], one_line(finding.hint), prose, indent, "dim")
    if document.closing:
        yield from _fold([], one_line(document.closing), prose, 0)


def _heading_lines(document: Document, width: int) -> Iterator[Line]:
    head = [Span(one_line(document.title), "bold")]
    subtitle = one_line(document.subtitle)
    if document.verdict:
        head += [Span("   "), Span(document.verdict, VERDICT_STYLES[document.verdict]), Span(" ·" if subtitle else "")]
        yield from _fold(head, f" {subtitle}" if subtitle else "", width, 0)
    else:
        yield from _fold(head, f"   {subtitle}" if subtitle else "", width, 0)


def _fold(head: Line, text: str, width: int, indent: int, style: str = "") -> Iterator[Line]:
    """A head and the text after it, folded at blanks, further lines indented; blanks before the text stay with it.

    The parts of a list (`a b · c d`) stay whole where they can.
    """
    gap = len(text) - len(text.lstrip(" "))
    used = sum(len(span.text) for span in head) + gap
    room = max(width, indent + 20)
    tied = _tied(text.strip(" "), room - indent)
    if used > indent and used + len(tied.partition(" ")[0]) > room:
        # Not even the first word stands beside the head.
        yield head
        head, gap, used = [Span(" " * indent)], 0, indent
    wrapped = textwrap.wrap(
        tied, room, initial_indent=" " * used, subsequent_indent=" " * indent, break_on_hyphens=False
    )
    lines = [line.replace(TIED, " ") for line in wrapped]
    first, rest = (lines[0][used:], lines[1:]) if lines else ("", [])
    yield [*head, Span(" " * gap + first, style)]
    for line in rest:
        yield [Span(line, style)]


def _tied(text: str, room: int) -> str:
    """A list, with dots or wide gaps between its parts: no line ends within one that is short and has room."""
    wide = " " * 3
    parts = (part.split(wide) for part in text.split(BETWEEN))
    kept = (wide.join(p.replace(" ", TIED) if len(p) < min(WHOLE, room + 1) else p for p in part) for part in parts)
    return text if BETWEEN not in text and wide not in text else f"{TIED}· ".join(kept)


def _table(table: Table, width: int | None, *, exact: bool) -> Iterator[Line]:
    """Columns side by side; where names make them too wide, long names on lines of their own and their rows below."""
    bar_width = 16 if width is None or 100 <= width < 160 else 8 if width < 100 else 32
    titles = [column.title for column in table.columns] + ([""] if table.bars else [])
    digits = [with_all_digits(table, place, exact=exact) for place in range(len(table.columns))]
    rows = [_cells(table, row, bar_width, digits) for row in table.rows]
    widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]
    sides = [_side(column) for column in table.columns] + ["<"]
    plain: Weight = "plain"
    weights = table.weights or [plain] * len(rows)
    stacked = width is not None and sum(widths) + len(GAP) * (len(widths) - 1) > width
    if stacked and table.bars and table.columns[0].kind != "name":
        yield from _table(msgspec.structs.replace(table, bars=False), width, exact=exact)
        return
    if stacked and table.columns[0].kind == "name":
        lines = [(titles, "bold"), *((c, WEIGHT_STYLES[w]) for c, w in zip(rows, weights, strict=True))]
        yield from _stacked(lines, widths[1:], sides[1:], width or 0, bars=table.bars)
        return
    yield [span for title, w, side in zip(titles, widths, sides, strict=False) for span in _heading(title, w, side)]
    for cells, weight in zip(rows, weights, strict=True):
        yield list(_row(cells, widths, sides, WEIGHT_STYLES[weight], bars=table.bars))


def _stacked(
    lines: list[tuple[list[str], str]], widths: list[int], sides: list[str], width: int, *, bars: bool
) -> Iterator[Line]:
    """The columns after the name stand at the right; a name that does not fit before them has its row below it."""
    room = width - sum(widths) - len(GAP) * len(widths)
    start = max([3, *(len(cells[0]) + len(GAP) for cells, _ in lines if len(cells[0]) <= room)])
    for cells, style in lines:
        row = list(_row(cells[1:], widths, sides, style, bars=bars))
        if len(cells[0]) <= room:
            yield [Span(f"{cells[0]:<{start}}", style), *row]
        else:
            yield [Span(cells[0], style)]
            yield [Span(" " * start), *row]


def _heading(title: str, width: int, side: str) -> Iterator[Span]:
    if title:
        yield Span(f"{title:{side}{width}}", "underline")
        yield Span(GAP)


def _row(cells: list[str], widths: list[int], sides: list[str], style: str, *, bars: bool) -> Iterator[Span]:
    text = GAP.join(f"{cell:{side}{width}}" for cell, width, side in zip(cells, widths, sides, strict=False))
    if not bars:
        yield Span(text, style)
        return
    end = len(text) - widths[-1]
    yield Span(text[:end], style)
    yield Span(text[end:], "cyan")


def _cells(table: Table, row: tuple[Cell, ...], bar_width: int, digits: list[bool]) -> list[str]:
    """A row as text, its bar last; `digits` says of each column whether it has them all."""
    columns = zip(row, table.columns, digits, strict=True)
    cells = [show(cell, column, exact=exact) for cell, column, exact in columns]
    if table.bars:
        shares = [cell for cell, column in zip(row, table.columns, strict=True) if column.kind == "share"]
        share = shares[0] if shares else None
        cells.append(words.bar(share, bar_width) if isinstance(share, int | float) else "")
    return cells


def _side(column: Column) -> str:
    return "<" if column.kind in ("text", "name") else ">"
