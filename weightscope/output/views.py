"""From an analysis to the document that a command shows."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from weightscope.analyses.accounting import ComponentShare
from weightscope.analyses.breakdown import OUTSIDE, By, Row
from weightscope.analyses.summary import Summary
from weightscope.output import words
from weightscope.output.document import Cell, Column, Document, Table, Weight
from weightscope.ranges import spell

COMPONENT = Column(title="Component")
ROLE = Column(title="Role")
TENSORS = Column(title="Tensors", kind="count")
PARAMETERS = Column(title="Parameters", kind="count")
SHARE = Column(title="Share", kind="share")
BYTES = Column(title="Bytes", kind="bytes")


def inspect_document(summary: Summary) -> Document:
    """The breakdown by component, with what the model is above it."""
    rows, weights = _component_rows(summary.components)
    return Document(
        data=summary,
        title=title(summary),
        subtitle=subtitle(summary),
        facts=tuple(_facts(summary)),
        table=Table(columns=(COMPONENT, ROLE, TENSORS, PARAMETERS, SHARE), rows=rows, weights=weights, bars=True),
        records=_records(summary.components),
        notes=summary.model.notes,
        findings=summary.findings,
        closing=_closing(summary),
    )


def title(summary: Summary) -> str:
    """The model's name: its directory's or file's."""
    path = Path(summary.model.reference).resolve()
    generic = path.name == "config.json" or path.name.endswith(".index.json")
    return (path.parent if generic else path).name or str(path)


def subtitle(summary: Summary) -> str:
    """Architecture, format, size, dtype."""
    model = summary.model
    dtypes = "/".join(share.dtype for share in summary.dtypes[:3]) + ("/…" if len(summary.dtypes) > 3 else "")
    parts = [
        model.architecture or model.model_type or "unknown architecture",
        _format(summary),
        words.size(summary.bytes) if summary.bytes else "",
        dtypes,
        model.quantization or "",
    ]
    return " · ".join(part for part in parts if part)


def _format(summary: Summary) -> str:
    if summary.model.format == "config":
        return "config.json alone, no weights"
    if summary.model.format == "index":
        return "index alone, no weights"
    shards = len(summary.files)
    return f"{summary.model.format} in {shards:,} shards" if shards > 1 else summary.model.format


def _facts(summary: Summary) -> Iterable[tuple[str, str]]:
    parameters = summary.parameters
    ends = f"{words.short(parameters.non_embedding)} without embeddings and head"
    total = f"{words.count(parameters.total)}"
    yield (
        "Parameters",
        total + (f"  ({words.short(parameters.total)})" if parameters.total >= 1000 else "") + f"   {ends}",
    )
    if parameters.active != parameters.total:
        yield "Active", f"{words.count(parameters.active)}  ({words.short(parameters.active)})   used by one token"
    if parameters.auxiliary:
        yield (
            "Auxiliary",
            f"{words.count(parameters.auxiliary)}  ({words.short(parameters.auxiliary)})   beside the total",
        )
    if parameters.buffers:
        yield "Buffers", f"{words.count(parameters.buffers)} elements, which are not parameters"
    if summary.model.shape:
        yield "Shape", summary.model.shape
    if text := _embeddings(summary):
        yield "Embeddings", text
    yield "Stored", _stored(summary)


def _stored(summary: Summary) -> str:
    if summary.dtypes:
        each = " · ".join(f"{share.dtype} {words.size(share.bytes)}" for share in summary.dtypes)
        bits = summary.parameters.bits_per_parameter
        return each + (f"   {bits:.4g} bits a parameter" if bits else "")
    dtype = summary.model.dtype
    if summary.model.format == "index":
        return "not here; sizes are the config's"
    return "not here; sizes are the config's" + (f", which says {dtype}" if dtype else "")


def _embeddings(summary: Summary) -> str:
    head = next((c for c in summary.components if c.component == "head"), None)
    count = words.count(head.parameters) if head else "0"
    sentences = {
        "shared-storage": "tied: lm_head is the embedding's own storage",
        "equal-values": "tied: lm_head is stored too, byte for byte the embedding",
        "declared": "tied, says config.json"
        + (": lm_head is stored too, its values not compared (--values does)" if head else ""),
        "untied": f"untied: lm_head is stored apart ({count})",
        "not-applicable": "",
    }
    if summary.embeddings.evidence == "absent-head":
        return (
            "tied: no lm_head is stored"
            if summary.embeddings.tied
            else "untied, says config.json, but no lm_head is stored"
        )
    if summary.embeddings.evidence == "untied" and summary.model.format in ("config", "index"):
        return f"untied: lm_head has its own {count}"
    return sentences[summary.embeddings.evidence]


def _closing(summary: Summary) -> str:
    tensors, model = summary.tensors, summary.model
    if model.format == "config":
        return "Counted from config.json alone: what the architecture should hold."
    if not model.recognized:
        return f"{words.plural(tensors.total, 'tensor')}; roles marked ~ are inferred from names."
    text = f"{tensors.recognized:,} of {tensors.total:,} tensors recognized."
    serious = [finding for finding in summary.findings if finding.severity != "info"]
    if model.format == "index":
        return f"{text} Names fit config.json; an index says nothing of shapes." if not serious else text
    return text if serious else f"{text} Names and shapes fit config.json."


def _component_rows(
    components: tuple[ComponentShare, ...],
) -> tuple[tuple[tuple[Cell, ...], ...], tuple[Weight, ...]]:
    rows: list[tuple[Cell, ...]] = []
    weights: list[Weight] = []
    for component in components:
        only = component.roles[0] if len(component.roles) == 1 else None
        name = _mark(only.role, inferred=only.inferred) if only else ""
        rows.append((component.component, name, component.tensors, component.parameters, component.share))
        weights.append("strong")
        for role in component.roles if only is None else ():
            share = component.share * role.parameters / component.parameters if component.parameters else 0.0
            rows.append(("", _mark(role.role, inferred=role.inferred), role.tensors, role.parameters, share))
            weights.append("plain")
    return tuple(rows), tuple(weights)


def _mark(role: str, *, inferred: bool) -> str:
    return f"{role} ~" if inferred else role


def _records(components: tuple[ComponentShare, ...]) -> Table:
    return Table(
        columns=(COMPONENT, ROLE, TENSORS, PARAMETERS, SHARE, BYTES, Column(title="Inferred")),
        rows=tuple(
            (
                component.component,
                role.role,
                role.tensors,
                role.parameters,
                round(component.share * role.parameters / component.parameters, 6) if component.parameters else 0.0,
                role.bytes,
                str(role.inferred).lower(),
            )
            for component in components
            for role in component.roles
        ),
    )


def params_document(summary: Summary, by: By, rows: tuple[Row, ...]) -> Document:
    """The same parameters along one axis."""
    parameters = summary.parameters
    data = {
        "schema_version": 1,
        "model": summary.model,
        "by": by,
        "parameters": parameters,
        "rows": rows,
        "findings": summary.findings,
    }
    first = Column(title=by.capitalize(), kind="name" if by in ("layer", "module") else "text")
    columns = (first, TENSORS, PARAMETERS, SHARE, BYTES)
    stored = bool(summary.dtypes)
    shown = _merged_layers(rows) if by == "layer" else rows
    # Fused tensors are accounted to each of their roles, so a sum of tensors over roles would count them twice.
    ending: tuple[Cell, ...] = (
        "total with auxiliary" if parameters.auxiliary else "total",
        None if by == "role" else sum(row.tensors for row in rows),
        parameters.total + parameters.auxiliary,
        None,
        sum(row.bytes for row in rows),
    )
    table_rows: list[tuple[Cell, ...]] = [
        (_name(row, by), row.tensors, row.parameters, row.share, row.bytes) for row in shown
    ]
    weights: list[Weight] = ["plain"] * len(table_rows)
    # Without files there are no bytes to show.
    width = len(columns) if stored else len(columns) - 1
    return Document(
        data=data,
        title=title(summary),
        subtitle=subtitle(summary),
        facts=tuple(fact for fact in _facts(summary) if fact[0] in ("Parameters", "Active", "Auxiliary", "Embeddings")),
        table=Table(
            columns=columns[:width],
            rows=tuple(row[:width] for row in (*table_rows, ending)),
            weights=(*weights, "strong"),
            bars=True,
        ),
        records=Table(
            columns=(first, Column(title="Group"), *columns[1:]),
            rows=tuple((r.name, r.group, r.tensors, r.parameters, r.share, r.bytes) for r in rows),
        ),
        notes=summary.model.notes,
        findings=tuple(finding for finding in summary.findings if finding.severity != "info"),
    )


def _name(row: Row, by: By) -> str:
    name = f"{row.group}.{row.name}" if row.group else row.name
    return _mark(name, inferred=row.inferred) if by != "dtype" else name


def _merged_layers(rows: tuple[Row, ...]) -> tuple[Row, ...]:
    """Consecutive layers that count alike as one row, whose numbers are those of all of them together."""
    merged: list[list[Row]] = []
    for row in rows:
        last = merged[-1][-1] if merged else None
        alike = last is not None and row.name != OUTSIDE and _alike(last, row)
        if alike:
            merged[-1].append(row)
        else:
            merged.append([row])
    return tuple(run[0] if len(run) == 1 else _together(run) for run in merged)


def _alike(a: Row, b: Row) -> bool:
    return (a.group, a.tensors, a.parameters, a.bytes) == (b.group, b.tensors, b.parameters, b.bytes)


def _together(run: list[Row]) -> Row:
    return Row(
        name=f"{{{spell(int(row.name) for row in run)}}}",
        group=run[0].group,
        tensors=sum(row.tensors for row in run),
        parameters=sum(row.parameters for row in run),
        share=sum(row.share for row in run),
        bytes=sum(row.bytes for row in run),
        inferred=run[0].inferred,
    )
