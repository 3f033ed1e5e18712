"""What `weightscope memory --gpu` shows: the verdict, and a table of contexts and batches."""

from __future__ import annotations

from collections.abc import Iterator

from weightscope.analyses.memory.fit import USABLE, Fit
from weightscope.analyses.memory.report import Asked
from weightscope.output import words
from weightscope.output.document import Cell, Column, Table

RECORDS = (
    Column(title="Context", kind="count"),
    Column(title="Batch", kind="count"),
    Column(title="Bytes", kind="bytes"),
    Column(title="Fits"),
)


def fit_facts(fit: Fit, asked: Asked, *, exact: bool) -> Iterator[tuple[str, str]]:
    """What each device holds, and what could be."""
    device, ranks = fit.device, fit.ranks
    said = f" ({device.source})" if device.source else ""
    memory = words.size(device.memory, exact=exact)
    usable = f"{words.size(fit.usable, exact=exact)} each, {words.percent(USABLE)} of {memory}"
    yield "Devices", f"{fit.gpus:,} × {device.name}: {usable}{said}"
    parts = [
        f"{number:,} {name}" for number, name in (
            (ranks.tensor, "tensor ranks"), (ranks.pipeline, "stages"), (ranks.expert, "groups of experts"),
            (ranks.replicas, "replicas"),
        ) if number > 1
    ]  # fmt: skip
    if parts:
        yield "Divided", " · ".join(parts)
    for held in fit.stages:
        name = "Each holds" if len(fit.stages) == 1 else f"Stage {held.stage} holds"
        weights, state = words.size(held.weights, exact=exact), words.size(held.state, exact=exact)
        yield name, f"{weights} of weights + {state} of state"
    if not fit.table:
        return
    trained, most = asked.trained_context, fit.largest_context
    beyond = trained is not None and (most is None or most > trained)
    named = f" (the config names {trained:,})" if beyond else ""
    yield "At most", f"{_most(most, 'token')} with a batch of {asked.batch:,}{named}"
    yield "", f"{_most(fit.largest_batch, 'sequence')} of {words.plural(asked.context, 'token')}"


def fit_table(fit: Fit) -> Table:
    """What a device holds, contexts by batches; a star marks what is too much."""
    if not fit.table:
        return Table(columns=(), rows=())
    batches = sorted({cell.batch for cell in fit.table})
    rows: dict[int, list[Cell]] = {}
    for cell in fit.table:
        rows.setdefault(cell.context, []).append(words.size(cell.bytes) + ("" if cell.fits else " *"))
    columns = (Column(title=f"Batch {batch:,}", kind="number") for batch in batches)
    return Table(
        columns=(Column(title="Context", kind="count"), *columns),
        rows=tuple((context, *cells) for context, cells in rows.items()),
    )


def fit_records(fit: Fit) -> Table:
    """The same, a row each."""
    return Table(
        columns=RECORDS,
        rows=tuple((cell.context, cell.batch, cell.bytes, str(cell.fits).lower()) for cell in fit.table),
    )


def fit_notes(fit: Fit) -> Iterator[str]:
    """What ranks keep alike, and what the table leaves out."""
    for note in fit.notes:
        yield f"{note[0].upper()}{note[1:]}."
    if any(not cell.fits for cell in fit.table):
        yield "* More than a device may hold."
    yield "Activations are not counted: the rest of each device is for them."


def _most(number: int | None, noun: str) -> str:
    return f"any number of {noun}s" if number is None else words.plural(number, noun)
