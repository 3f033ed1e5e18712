"""The document of `weightscope memory`."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from weightscope.analyses.memory.report import Asked, Memory
from weightscope.analyses.memory.sizing import ASKED, USUAL
from weightscope.analyses.memory.state import StateRow
from weightscope.analyses.summary import Summary
from weightscope.findings import passes
from weightscope.output import words
from weightscope.output.document import Cell, Column, Document, Table, Weight
from weightscope.output.facts import facts, state_facts, subtitle, title_of
from weightscope.output.memory_fit import fit_facts, fit_notes, fit_records, fit_table
from weightscope.output.memory_training import training_facts, training_notes, training_records, training_table
from weightscope.output.memory_work import work_facts

ABOVE = ("Parameters", "Shape")
PART = Column(title="Part")
DTYPE = Column(title="Dtype")
LAYERS = Column(title="Layers", kind="count")
PER_TOKEN = Column(title="Per token", kind="number")
COLUMNS = (
    PART,
    LAYERS,
    DTYPE,
    Column(title="Per token", kind="bytes"),
    Column(title="Bytes", kind="bytes"),
    Column(title="Reserved", kind="bytes"),
)
RECORDS = (
    Column(title="Of"),
    PART,
    Column(title="Last", kind="count"),
    LAYERS,
    DTYPE,
    PER_TOKEN,
    Column(title="Fixed", kind="bytes"),
    Column(title="Bytes", kind="bytes"),
    Column(title="Reserved", kind="bytes"),
)
Line = tuple[Cell, ...]


def memory_document(summary: Summary, memory: Memory, *, exact: bool = False) -> Document:
    """Weights and decode state, a row each, with the sums above them."""
    alone = needs(memory, exact=exact)
    above = (fact for fact in facts(summary, exact=exact) if fact[0] in ABOVE)
    return replace(alone, subtitle=subtitle(summary, exact=exact), facts=(*above, *alone.facts))


def needs(memory: Memory, *, exact: bool = False) -> Document:
    """The same without what a summary says of the model."""
    table, records, notes = _shown(memory)
    fit = memory.fit
    training = memory.training
    asked = fit is not None or (training is not None and training.usable is not None)
    fits = passes(memory.findings, "error") if asked else None
    return Document(
        data=memory,
        title=title_of(memory.model.reference),
        subtitle=memory.model.architecture or memory.model.model_type or "",
        exact=exact,
        facts=(
            *_facts(memory, exact=exact),
            *(fit_facts(fit, memory.asked, exact=exact) if fit else ()),
            *(training_facts(training, exact=exact) if training else ()),
        ),
        verdict=None if fits is None else "ok" if fits else "failed",
        table=table,
        records=records,
        notes=notes,
        findings=memory.findings,
    )


def _shown(memory: Memory) -> tuple[Table, Table, tuple[str, ...]]:
    """The table for people, the flat one, and the notes: of what was asked for."""
    if memory.training:
        training = memory.training
        return training_table(training), training_records(training), (*memory.notes, *training_notes(training))
    if memory.fit:
        return fit_table(memory.fit), fit_records(memory.fit), (*memory.notes, *fit_notes(memory.fit))
    lines, weights = _lines(memory)
    table = Table(columns=COLUMNS, rows=tuple(lines), weights=tuple(weights))
    return table, Table(columns=RECORDS, rows=tuple(_records(memory))), memory.notes


def _facts(memory: Memory, *, exact: bool) -> Iterator[tuple[str, str]]:
    loaded = memory.weights
    stored = f"   {words.size(loaded.stored, exact=exact)} in files" if loaded.stored is not None else ""
    beside = f"   {words.size(loaded.auxiliary, exact=exact)} more with MTP" if loaded.auxiliary else ""
    asked, state = memory.asked, memory.state
    yield "Weights", f"{words.size(loaded.loaded, exact=exact)} loaded{stored}{beside}"
    if asked.quantize:
        yield "Quantized", asked.quantize
    if state is None or memory.total is None or memory.training:
        return
    yield from state_facts(state, exact=exact)
    sequences = words.plural(asked.batch, "sequence")
    tokens = words.plural(asked.context, "token")
    logical = f"{words.size(state.total.logical, exact=exact)} for {sequences} of {tokens}"
    looked = f" and {asked.source_tokens:,} that are looked at" if asked.source_tokens else ""
    reserved = f"{words.size(state.total.reserved, exact=exact)} in pages of {state.page_size}"
    yield "", f"{logical}{_source(asked)}{looked}   {reserved}"
    yield "Together", f"{words.size(memory.total, exact=exact)}   without activations"
    if (live := memory.activations) is not None:
        prefill, decode = words.size(live.prefill, exact=exact), words.size(live.decode, exact=exact)
        yield "Activations", f"about {prefill} to read them all at once, {decode} for a decode step"
    if memory.work:
        yield from work_facts(memory.work, asked, exact=exact)


def _source(asked: Asked) -> str:
    """Where the context comes from, unless it was asked for."""
    if asked.context_source == ASKED:
        return ""
    usual = "a usual length; the config names none"
    return f" ({usual if asked.context_source == USUAL else asked.context_source})"


def _lines(memory: Memory) -> tuple[list[Line], list[Weight]]:
    """The components of the weights, their sum, the kinds of state, and theirs."""
    lines: list[Line] = []
    weights: list[Weight] = []
    for row in memory.weights.rows:
        lines.append((_beside(row.component, auxiliary=row.auxiliary), None, row.dtype, None, row.loaded, None))
        weights.append("faint" if row.auxiliary else "plain")
    lines.append(("weights", None, "", None, memory.weights.loaded, None))
    weights.append("strong")
    if memory.state is None:
        return lines, weights
    for state in memory.state.rows:
        growth = int(state.per_token) or None
        name = _beside(_kind(state), auxiliary=state.auxiliary)
        lines.append((name, state.layers, state.dtype, growth, state.logical, state.reserved))
        weights.append("faint" if state.auxiliary else "plain")
    total = memory.state.total
    lines.append(("decode state", None, "", int(total.per_token) or None, total.logical, total.reserved))
    weights.append("strong")
    return lines, weights


def _beside(name: str, *, auxiliary: bool) -> str:
    return f"{name} (MTP)" if auxiliary and name != "mtp" else name


def _kind(state: StateRow) -> str:
    """`keys and values, last 4,095`."""
    name = state.kind.replace("_", " ")
    return name if state.last is None else f"{name}, last {state.last:,}"


def _records(memory: Memory) -> Iterator[Line]:
    for row in memory.weights.rows:
        yield ("weights", row.component, None, None, row.dtype, None, None, row.loaded, None)
    for state in memory.state.rows if memory.state else ():
        yield (
            "state",
            state.kind,
            state.last,
            state.layers,
            state.dtype,
            state.per_token,
            state.fixed,
            state.logical,
            state.reserved,
        )
