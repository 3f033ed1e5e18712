"""The document of `weightscope params --trainable`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from weightscope.analyses.breakdown import Row
from weightscope.analyses.summary import Summary
from weightscope.analyses.training.parts import LANGUAGE
from weightscope.analyses.training.split import Trainable, TrainedComponent
from weightscope.output import words
from weightscope.output.columns import COMPONENT, PARAMETERS, mark
from weightscope.output.document import Cell, Column, Document, Table, Weight
from weightscope.output.facts import facts, subtitle, title

ABOVE = ("Parameters", "Auxiliary", "Embeddings")
LORA = Column(title="LoRA", kind="amount")
TRAINED = Column(title="Trained", kind="amount")
FROZEN = Column(title="Frozen", kind="amount")
SHARE = Column(title="Trained %", kind="share")
FLAT = (COMPONENT, Column(title="Part"), PARAMETERS, LORA, TRAINED, FROZEN, Column(title="Share", kind="share"))
# Before a component of the language model; blanks alone would not show in Markdown.
BELOW = "· "
Line = tuple[Cell, ...]


def trainable_document(
    summary: Summary, rows: tuple[Row, ...], trainable: Trainable, *, exact: bool = False
) -> Document:
    """What is trained and what is frozen; JSON has the rows of `params` as well."""
    data = {
        "schema_version": 1,
        "model": summary.model,
        "by": "component",
        "parameters": summary.parameters,
        "rows": rows,
        "findings": summary.findings,
        "buffers": summary.buffers,
        "trainable": trainable,
    }
    alone = trained(trainable, exact=exact)
    above = (fact for fact in facts(summary, exact=exact) if fact[0] in ABOVE)
    return replace(
        alone,
        data=data,
        title=title(summary),
        subtitle=subtitle(summary, exact=exact),
        facts=(*above, *alone.facts),
        notes=(*summary.model.notes, *alone.notes),
        findings=tuple(finding for finding in summary.findings if finding.severity != "info"),
    )


def trained(trainable: Trainable, *, exact: bool = False) -> Document:
    """The same without what a summary says of the model."""
    return Document(
        data=None,
        title=f"Training {trainable.plan}",
        subtitle="",
        exact=exact,
        facts=tuple(_facts(trainable, exact=exact)),
        table=_table(trainable),
        records=Table(
            columns=FLAT,
            rows=tuple((r.component, r.part, *_numbers(r)) for r in trainable.components),
        ),
        notes=trainable.notes,
    )


def _facts(trainable: Trainable, *, exact: bool) -> Iterator[tuple[str, str]]:
    if trainable.trained is None or trainable.frozen is None or trainable.share is None:
        yield "Trained", "unknown: packed integers; the number of weights in each is not known"
    else:
        yield "Trained", f"{_both(trainable.trained)}   {words.percent(trainable.share)}"
        rest = words.percent(1 - trainable.share) if trainable.frozen else words.percent(0)
        yield "Frozen", f"{_both(trainable.frozen)}   {rest}"
    if (lora := trainable.lora) is not None:
        hit = "matrix" if lora.matrices == 1 else "matrices"
        added = words.amount(lora.added, exact=exact)
        targets = ", ".join(lora.targets)
        yield "LoRA", f"{added} new parameters of rank {lora.rank:,} in {lora.matrices:,} {hit} ({targets})"


def _both(number: int) -> str:
    return words.count(number) + (f"  ({words.short(number)})" if number >= 1000 else "")


def _table(trainable: Trainable) -> Table:
    """The parts, the language model's with its components below it where there are others."""
    lines: list[Line] = []
    components = trainable.components
    own = [row for row in components if row.part == LANGUAGE]
    parts = len({row.part for row in components}) > 1
    for row in components:
        if row.part == LANGUAGE:
            if parts and row is own[0]:
                lines.append((LANGUAGE, *_together(own)))
            lines.append(((BELOW if parts else "") + mark(row.component, inferred=row.inferred), *_numbers(row)))
        else:
            lines.append((mark(row.component, inferred=row.inferred), *_numbers(row)))
    lines.append(("total", trainable.parameters, trainable.added, trainable.trained, trainable.frozen, trainable.share))
    plain: Weight = "plain"
    weights = (*[plain] * (len(lines) - 1), "strong")
    columns: tuple[Column, ...] = (COMPONENT, PARAMETERS, LORA, TRAINED, FROZEN, SHARE)
    if trainable.lora is None:
        columns, lines = (*columns[:2], *columns[3:]), [(*line[:2], *line[3:]) for line in lines]
    return Table(columns=columns, rows=tuple(lines), weights=weights, bars=True)


def _numbers(row: TrainedComponent) -> Line:
    return row.parameters, row.added, row.trained, row.frozen, row.share


def _together(rows: Iterable[TrainedComponent]) -> Line:
    """The numbers of several components as one."""
    parameters, added, trained, frozen = (
        None if None in column else sum(number or 0 for number in column)
        for column in zip(*(_numbers(row)[:4] for row in rows), strict=True)
    )
    whole = None if parameters is None else parameters + (added or 0)
    share = None if trained is None or whole is None else trained / whole if whole else 0.0
    return parameters, added, trained, frozen, share
