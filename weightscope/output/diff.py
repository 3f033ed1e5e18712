"""The document of `weightscope diff`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from weightscope.analyses.diff.result import Diff, ForwardDiff, RoleDiff, Side
from weightscope.output import words
from weightscope.output.diff_counts import counts_document
from weightscope.output.document import Column, Document, Table
from weightscope.output.several import emit_all
from weightscope.output.write import Format

ROLE = Column(title="Role", kind="name")
WEIGHTS, EQUAL, RANK = (Column(title=title, kind="count") for title in ("Weights", "Equal", "Rank"))
RELATIVE, COSINE, LARGEST = (Column(title=title, kind="number") for title in ("|A-B|/|A|", "Cosine", "Largest"))
# Of parts that were left untouched, so many are shown.
SHOWN = 6


def emit_diff(diff: Diff, format: Format, output: Path | None, protected: Iterable[Path] = ()) -> None:
    """Write the comparison, and for people the parameters by component below it.

    Raises:
        UsageError: the file cannot be written, or is one of the `protected` (a model's own).
    """
    document = diff_document(diff)
    counts = counts_document(diff) if format in (Format.TABLE, Format.MARKDOWN) else None
    emit_all([(document.title, document)], format, output, protected, last=[counts] if counts else [])


def diff_document(diff: Diff) -> Document:
    """The verdict first, then both sides, and the values by role where they were compared."""
    return Document(
        data=diff,
        title=f"{diff.a.reference} and {diff.b.reference}",
        subtitle=diff.verdict.text,
        facts=tuple(_facts(diff)),
        table=_roles(diff.roles or ()),
        records=_records(diff),
        findings=diff.findings,
        closing=_compared(diff),
    )


def _facts(diff: Diff) -> Iterator[tuple[str, str]]:
    yield "A", _side(diff.a)
    yield "B", _side(diff.b)
    if diff.untouched:
        more = f" and {len(diff.untouched) - SHOWN:,} more kinds" if len(diff.untouched) > SHOWN else ""
        yield "Untouched", ", ".join(diff.untouched[:SHOWN]) + more
    if diff.forward:
        yield "Logits", _forward(diff.forward)


def _side(side: Side) -> str:
    counted = "" if side.parameters is None else f"{words.amount(side.parameters)} parameters"
    parts = (side.model_type, side.format, words.plural(side.weights, "weight"), counted, side.precision)
    return " · ".join(filter(None, parts))


def _forward(forward: ForwardDiff) -> str:
    return (
        f"largest difference {forward.largest * 100:.3g} % of the RMS · NMSE {forward.nmse:.3g} · "
        f"KL {forward.kl:.3g} nats · same top token {words.percent(forward.top1)} of {len(forward.tokens):,}"
    )


def _compared(diff: Diff) -> str:
    text = f"Compared {words.plural(diff.both, 'weight')} by role"
    if diff.values is None:
        return f"{text}: shapes, dtypes and config. --values compares the numbers."
    return f"{text}, {len(diff.values):,} of them by value."


def _roles(roles: tuple[RoleDiff, ...]) -> Table:
    ranked = any(row.rank for row in roles)
    columns = (ROLE, WEIGHTS, EQUAL, RELATIVE, COSINE, LARGEST, *((RANK,) if ranked else ()))
    rows = tuple(
        (
            row.role or "undeclared",
            row.weights,
            row.equal,
            row.relative,
            row.cosine,
            row.largest,
            *((row.rank,) if ranked else ()),
        )
        for row in roles
    )
    return Table(columns=columns, rows=rows)


def _records(diff: Diff) -> Table:
    """A row for each weight of both that was compared."""
    titles = ("Address", "Role", "Component", "Layer", "Elements", "Differing", "Relative", "Cosine", "Largest", "Rank")
    return Table(
        columns=tuple(Column(title=title) for title in titles),
        rows=tuple(
            (
                value.address,
                value.role,
                value.component,
                value.layer,
                value.elements,
                value.differing,
                value.relative,
                value.cosine,
                value.largest,
                value.rank,
            )
            for value in diff.values or ()
        ),
    )
