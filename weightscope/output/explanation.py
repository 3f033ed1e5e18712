"""The document of `weightscope explain`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from weightscope.analyses.explaining import Explanation, Neighbour
from weightscope.analyses.summary import Summary
from weightscope.output import words
from weightscope.output.document import Column, Document, Table

RECORDS = tuple(
    Column(title=title) for title in ("Name", "Roles", "Component", "Kind", "Layer", "Shape", "Terms", "Parameters")
)

# Tensors of one kind that are named; a block has some ten.
MOST = 12


def explanation_document(summary: Summary, explanation: Explanation) -> Document:
    """One tensor in labelled lines."""
    data = {"schema_version": 1, "model": summary.model, "tensor": explanation}
    return msgspec.structs.replace(explained(explanation), data=data)


def explained(explanation: Explanation) -> Document:
    """The same without the model's own data."""
    return Document(
        data=None,
        title=explanation.name,
        subtitle=" · ".join(_subtitle(explanation)),
        facts=tuple(_facts(explanation)),
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
    yield from _lines("Computes", explanation.terms)
    if explanation.equation not in ("", *explanation.terms):
        yield "Within", explanation.equation
    if explanation.shape is not None:
        spelled = " × ".join(explanation.shape_terms)
        yield "Shape", f"{list(explanation.shape)}" + (f"   {spelled}" if spelled else "")
    if explanation.layout:
        yield "Layout", explanation.layout
    if explanation.dtype:
        yield "Stored", f"{explanation.dtype} in {explanation.file}"
    for label, names in (("Scales", explanation.scales), ("Scale of", explanation.scaled)):
        yield from _lines(label, names)
    counted = f"{words.count(explanation.parameters)}"
    yield "Parameters", counted + (f"   {words.percent(explanation.share)} of all" if explanation.parameters else "")
    neighbours = {"Before": explanation.before, "Beside": explanation.beside, "After": explanation.after}
    for label, neighbour in neighbours.items():
        if neighbour:
            yield from _lines(label, _neighbour(neighbour))
    yield from _lines("Matches", explanation.matches)


def _lines(label: str, texts: Sequence[str]) -> Iterator[tuple[str, str]]:
    """A text a line, the first with its label; of many the first few."""
    shown = texts if len(texts) <= MOST else [*texts[: MOST - 1], f"and {len(texts) - MOST + 1:,} more"]
    for number, text in enumerate(shown):
        yield "" if number else label, text


def _neighbour(neighbour: Neighbour) -> list[str]:
    """Each role with its tensor; a fused tensor has several."""
    if len(neighbour.roles) != len(neighbour.names):
        return [", ".join(neighbour.roles), *neighbour.names]
    width = max(map(len, neighbour.roles))
    return [f"{role:<{width}}  {name}" for role, name in zip(neighbour.roles, neighbour.names, strict=True)]


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
