"""The table of parameters by component below a comparison, where they differ."""

from __future__ import annotations

from weightscope.analyses.diff.result import Diff, Side
from weightscope.output import words
from weightscope.output.document import Column, Document, Table, Weight

COLUMNS = (Column(title="Component"), *(Column(title=title, kind="amount") for title in ("A", "B", "Change")))


def counts_document(diff: Diff) -> Document | None:
    """A row a component and the total; None where all counts are equal."""
    if all(row.a == row.b for row in diff.components):
        return None
    whole = "total with auxiliary" if diff.a.auxiliary or diff.b.auxiliary else "total"
    counts = [*((row.component, row.a, row.b) for row in diff.components), (whole, _whole(diff.a), _whole(diff.b))]
    weights: list[Weight] = ["plain"] * len(diff.components)
    return Document(
        data=None,
        title="Parameters by component",
        subtitle="",
        facts=(),
        table=Table(
            columns=COLUMNS,
            rows=tuple((name, a, b, _change(a, b)) for name, a, b in counts),
            weights=(*weights, "strong"),
        ),
    )


def _whole(side: Side) -> int | None:
    if side.parameters is None or side.auxiliary is None:
        return None
    return side.parameters + side.auxiliary


def _change(a: int | None, b: int | None) -> str:
    """+1,024; nothing where nothing changed, or nothing tells."""
    if a is None or b is None or a == b:
        return ""
    return f"{'+' if b > a else '-'}{words.amount(abs(b - a))}"
