"""The document of `weightscope params`."""

from __future__ import annotations

from weightscope.analyses.breakdown import OUTSIDE, By, Row
from weightscope.analyses.summary import Summary
from weightscope.output.columns import BYTES, PARAMETERS, SHARE, TENSORS, mark
from weightscope.output.document import Cell, Column, Document, Table, Weight
from weightscope.output.facts import facts, subtitle, title
from weightscope.ranges import fill, literal

ABOVE = ("Parameters", "Active", "Auxiliary", "Buffers", "Embeddings")


def params_document(summary: Summary, by: By, rows: tuple[Row, ...], *, exact: bool = False) -> Document:
    """The same parameters along one axis; buffers have a row of their own, so that tensors and bytes add up."""
    data = {
        "schema_version": 1,
        "model": summary.model,
        "by": by,
        "parameters": summary.parameters,
        "rows": rows,
        "findings": summary.findings,
        "buffers": summary.buffers,
    }
    return Document(
        data=data,
        title=title(summary),
        subtitle=subtitle(summary, exact=exact),
        exact=exact,
        facts=tuple(fact for fact in facts(summary, exact=exact) if fact[0] in ABOVE),
        table=_layer_table(rows, summary) if by == "layer" else _row_table(rows, by, summary),
        records=Table(
            columns=(_first(by), Column(title="Group"), TENSORS, PARAMETERS, SHARE, BYTES),
            rows=tuple((r.name, r.group, r.tensors, r.parameters, r.share, r.bytes) for r in rows),
        ),
        notes=_notes(rows, by, summary),
        findings=tuple(finding for finding in summary.findings if finding.severity != "info"),
    )


def _notes(rows: tuple[Row, ...], by: By, summary: Summary) -> tuple[str, ...]:
    fused = by == "role" and sum(row.tensors for row in rows) > _tensors(summary) - summary.buffers.tensors
    note = "A fused tensor is counted under each of its roles, and once in the total."
    return (*summary.model.notes, *((note,) if fused else ()))


def _first(by: By) -> Column:
    return Column(title=by.capitalize(), kind="name" if by in ("layer", "module") else "text")


def _row_table(rows: tuple[Row, ...], by: By, summary: Summary) -> Table:
    lines: list[tuple[Cell, ...]] = [
        (mark(row.name, inferred=row.inferred and by != "dtype"), row.tensors, row.parameters, row.share, row.bytes)
        for row in rows
    ]
    buffers = summary.buffers
    more: tuple[Cell, ...] = ("buffers", buffers.tensors, None, None, buffers.bytes)
    end = (_total(summary), _tensors(summary), _whole(summary), None, _bytes(rows, summary))
    return _with_total((_first(by), TENSORS, PARAMETERS, SHARE, BYTES), lines, more, end)


def _layer_table(rows: tuple[Row, ...], summary: Summary) -> Table:
    """Layers that count alike as one row: what each has, and what all of them have together."""
    alike: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        alike.setdefault((row.group, row.name == OUTSIDE, row.tensors, row.parameters, row.bytes), []).append(row)
    lines: list[tuple[Cell, ...]] = [
        (
            _layers(members),
            sum(row.tensors for row in members),
            members[0].parameters if members[0].group else None,
            None if members[0].parameters is None else sum(row.parameters or 0 for row in members),
            None if members[0].share is None else sum(row.share or 0.0 for row in members),
            sum(row.bytes for row in members),
        )
        for members in alike.values()
    ]
    buffers = summary.buffers
    more: tuple[Cell, ...] = ("buffers", buffers.tensors, None, None, None, buffers.bytes)
    end = (_total(summary), _tensors(summary), None, _whole(summary), None, _bytes(rows, summary))
    each = Column(title="Each", kind="amount")
    return _with_total((_first("layer"), TENSORS, each, PARAMETERS, SHARE, BYTES), lines, more, end)


def _with_total(
    columns: tuple[Column, ...], lines: list[tuple[Cell, ...]], buffers: tuple[Cell, ...], end: tuple[Cell, ...]
) -> Table:
    """The lines, buffers if there are any, and the total; the last column, bytes, only where anything is stored."""
    width = len(columns) if end[-1] else len(columns) - 1
    rows = [*lines, *([buffers] if buffers[1] else []), end]
    plain: Weight = "plain"
    weights: list[Weight] = [plain] * len(lines)
    weights += ["faint", "strong"] if buffers[1] else ["strong"]
    return Table(columns=columns[:width], rows=tuple(row[:width] for row in rows), weights=tuple(weights), bars=True)


def _total(summary: Summary) -> str:
    return "total with auxiliary" if summary.parameters.auxiliary else "total"


def _tensors(summary: Summary) -> int:
    """All of them once, whatever the rows are: a fused tensor has several roles."""
    return sum(component.tensors for component in summary.components) + summary.buffers.tensors


def _whole(summary: Summary) -> int | None:
    parameters = summary.parameters
    if parameters.total is None or parameters.auxiliary is None:
        return None
    return parameters.total + parameters.auxiliary


def _bytes(rows: tuple[Row, ...], summary: Summary) -> int:
    return sum(row.bytes for row in rows) + summary.buffers.bytes


def _layers(members: list[Row]) -> str:
    if not members[0].group:
        return members[0].name
    return fill(f"{literal(members[0].group)}.{{}}", [[int(row.name) for row in members]])
