"""The document of `weightscope explain`."""

from __future__ import annotations

from collections.abc import Iterator

from weightscope.analyses.explaining import Explanation, Neighbour
from weightscope.analyses.summary import Summary
from weightscope.output import words
from weightscope.output.document import Column, Document, Table

RECORDS = tuple(
    Column(title=title) for title in ("Name", "Roles", "Component", "Kind", "Layer", "Shape", "Terms", "Parameters")
)


def explanation_document(summary: Summary, explanation: Explanation) -> Document:
    """One tensor in labelled lines."""
    return Document(
        data={"schema_version": 1, "model": summary.model, "tensor": explanation},
        title=explanation.name,
        subtitle=" · ".join(_subtitle(explanation)),
        facts=tuple(_facts(explanation)),
        table=Table(columns=(), rows=()),
        records=_records(explanation),
        notes=explanation.notes,
    )


def _subtitle(explanation: Explanation) -> Iterator[str]:
    kind = "" if explanation.kind == "weight" else f" {explanation.kind}"
    yield " + ".join(explanation.roles) + kind + (" ~" if explanation.inferred else "")
    yield explanation.component
    if explanation.layer is not None:
        yield f"layer {explanation.layer}"
    if explanation.expert is not None:
        yield f"expert {explanation.expert}"


def _facts(explanation: Explanation) -> Iterator[tuple[str, str]]:
    for term in explanation.terms:
        yield "Computes", term
    if explanation.equation not in ("", *explanation.terms):
        yield "Within", explanation.equation
    if explanation.shape is not None:
        spelled = " × ".join(explanation.shape_terms)
        yield "Shape", f"{list(explanation.shape)}" + (f"   {spelled}" if spelled else "")
    if explanation.layout:
        yield "Layout", explanation.layout
    if explanation.dtype:
        yield "Stored", f"{explanation.dtype} in {explanation.file}"
    counted = f"{words.count(explanation.parameters)}"
    yield "Parameters", counted + (f"   {words.percent(explanation.share)} of all" if explanation.parameters else "")
    for label, neighbour in (
        ("Before", explanation.before),
        ("Beside", explanation.beside),
        ("After", explanation.after),
    ):
        if neighbour:
            yield label, _neighbour(neighbour)


def _neighbour(neighbour: Neighbour) -> str:
    return f"{', '.join(neighbour.roles)}   {' '.join(neighbour.names)}"


def _records(explanation: Explanation) -> Table:
    row = (
        explanation.name,
        "+".join(explanation.roles),
        explanation.component,
        explanation.kind,
        explanation.layer,
        " × ".join(explanation.shape_terms),
        "; ".join(explanation.terms),
        explanation.parameters,
    )
    return Table(columns=RECORDS, rows=(row,))
