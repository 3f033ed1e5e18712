"""From an analysis to the document that a command shows."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from weightscope.analyses.accounting import ComponentShare, Parameters
from weightscope.analyses.breakdown import OUTSIDE, By, Row
from weightscope.analyses.quantized import Quantization
from weightscope.analyses.summary import Summary
from weightscope.output import words
from weightscope.output.document import Cell, Column, Document, Table, Weight
from weightscope.output.overview import dtypes
from weightscope.ranges import fill, literal

COMPONENT = Column(title="Component")
ROLE = Column(title="Role")
TENSORS = Column(title="Tensors", kind="count")
PARAMETERS = Column(title="Parameters", kind="count")
SHARE = Column(title="Share", kind="share")
BYTES = Column(title="Bytes", kind="bytes")
# Schemes that `inspect` names; --by quantization has all.
MOST_SCHEMES = 4


def inspect_document(summary: Summary, *, exact: bool = False) -> Document:
    """The breakdown by component, with what the model is above it."""
    rows, weights = _component_rows(summary.components)
    return Document(
        data=summary,
        title=title(summary),
        subtitle=subtitle(summary),
        facts=tuple(_facts(summary)),
        exact=exact,
        table=Table(columns=(COMPONENT, ROLE, TENSORS, PARAMETERS, SHARE), rows=rows, weights=weights, bars=True),
        records=_records(summary.components),
        notes=summary.model.notes,
        findings=summary.findings,
        closing=_closing(summary),
    )


def title(summary: Summary) -> str:
    """The model's name: its directory's or file's."""
    if "://" in summary.model.reference:
        return summary.model.reference.rstrip("/").rpartition("/")[2]
    path = Path(summary.model.reference).resolve()
    generic = path.name == "config.json" or path.name.endswith(".index.json")
    return (path.parent if generic else path).name or str(path)


def subtitle(summary: Summary) -> str:
    """Architecture, format, size, dtype."""
    model = summary.model
    parts = [
        model.architecture or model.model_type or "unknown architecture",
        _format(summary),
        words.size(summary.bytes) if summary.bytes else "",
        dtypes(summary),
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
    if parameters.total is None:
        index = summary.model.format == "index"
        yield (
            "Parameters",
            "unknown: " + ("an index gives names and total size, no shapes" if index else "no weight file was read"),
        )
        return
    total = words.count(parameters.total)
    if parameters.total >= 1000:
        total += f"  ({words.short(parameters.total)})"
    if parameters.non_embedding is not None:
        total += f"   {words.short(parameters.non_embedding)} without embeddings and head"
    yield "Parameters", total
    if parameters.active is None:
        yield "Active", "unknown: no declaration says how many experts a token uses"
    elif parameters.active != parameters.total:
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
    yield from _quantized(summary.quantization)


def _quantized(quantization: Quantization | None) -> Iterable[tuple[str, str]]:
    """Each scheme with its bits, and what stayed plain."""
    if quantization is None:
        return
    for number, share in enumerate(quantization.schemes[:MOST_SCHEMES]):
        bits = ""
        if share.bits_per_parameter is not None and share.bits_without_scales is not None:
            bits = f", {share.bits_per_parameter:.4g} bits each ({share.bits_without_scales:.4g} without scales)"
        yield "" if number else "Quantized", f"{share.scheme}: {words.plural(share.tensors, 'weight')}{bits}"
    if more := len(quantization.schemes) - MOST_SCHEMES:
        yield from (("", f"and {words.plural(more, 'more scheme')} (--by quantization)"),) if more > 0 else ()
    for number, (said, roles) in enumerate(_plain(quantization).items()):
        yield "" if number else "Plain", f"{', '.join(roles)}{said}"


def _plain(quantization: Quantization) -> dict[str, list[str]]:
    """The roles of plain matrices by what the settings say of them."""
    found: dict[str, list[str]] = {}
    for share in quantization.plain if quantization.schemes else ():
        said = f", although {quantization.source} does not say so" if share.declared is False else ""
        roles = found.setdefault(said, [])
        if share.role not in roles:
            roles.append(share.role)
    return found


def _stored(summary: Summary) -> str:
    if summary.dtypes:
        each = " · ".join(f"{share.dtype} {words.size(share.bytes)}" for share in summary.dtypes)
        bits = summary.parameters.bits_per_parameter
        return each + (f"   {bits:.4g} bits a parameter" if bits else "")
    dtype = summary.model.dtype
    if summary.model.format == "index":
        return "not here; sizes are the config's"
    if summary.model.format != "config":
        return "nothing: the files hold no tensors"
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


def params_document(summary: Summary, by: By, rows: tuple[Row, ...], *, exact: bool = False) -> Document:
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
    return Document(
        data=data,
        title=title(summary),
        subtitle=subtitle(summary),
        exact=exact,
        facts=tuple(fact for fact in _facts(summary) if fact[0] in ("Parameters", "Active", "Auxiliary", "Embeddings")),
        table=_layer_table(rows, parameters) if by == "layer" else _row_table(rows, by, parameters),
        records=Table(
            columns=(_first(by), Column(title="Group"), TENSORS, PARAMETERS, SHARE, BYTES),
            rows=tuple((r.name, r.group, r.tensors, r.parameters, r.share, r.bytes) for r in rows),
        ),
        notes=summary.model.notes,
        findings=tuple(finding for finding in summary.findings if finding.severity != "info"),
    )


def _first(by: By) -> Column:
    return Column(title=by.capitalize(), kind="name" if by in ("layer", "module") else "text")


def _row_table(rows: tuple[Row, ...], by: By, parameters: Parameters) -> Table:
    # Fused tensors are accounted to each of their roles, so a sum of tensors over roles would count them twice.
    tensors = None if by == "role" else sum(row.tensors for row in rows)
    lines: list[tuple[Cell, ...]] = [
        (_mark(row.name, inferred=row.inferred and by != "dtype"), row.tensors, row.parameters, row.share, row.bytes)
        for row in rows
    ]
    end = (_total(parameters), tensors, _whole(parameters), None, sum(row.bytes for row in rows))
    return _with_total((_first(by), TENSORS, PARAMETERS, SHARE, BYTES), lines, end)


def _layer_table(rows: tuple[Row, ...], parameters: Parameters) -> Table:
    """Consecutive layers that count alike as one row: what each has, and what all of them have together."""
    runs: list[list[Row]] = []
    for row in rows:
        if runs and row.name != OUTSIDE and _alike(runs[-1][-1], row):
            runs[-1].append(row)
        else:
            runs.append([row])
    lines: list[tuple[Cell, ...]] = [
        (
            _layers(run),
            sum(row.tensors for row in run),
            run[0].parameters if run[0].group else None,
            sum(row.parameters for row in run),
            sum(row.share for row in run),
            sum(row.bytes for row in run),
        )
        for run in runs
    ]
    tensors, bytes_ = sum(row.tensors for row in rows), sum(row.bytes for row in rows)
    end = (_total(parameters), tensors, None, _whole(parameters), None, bytes_)
    each = Column(title="Each", kind="count")
    return _with_total((_first("layer"), TENSORS, each, PARAMETERS, SHARE, BYTES), lines, end)


def _with_total(columns: tuple[Column, ...], lines: list[tuple[Cell, ...]], end: tuple[Cell, ...]) -> Table:
    """The lines and their total; the last column, bytes, only where anything is stored."""
    width = len(columns) if end[-1] else len(columns) - 1
    weights: list[Weight] = ["plain"] * len(lines)
    return Table(
        columns=columns[:width],
        rows=tuple(line[:width] for line in (*lines, end)),
        weights=(*weights, "strong"),
        bars=True,
    )


def _total(parameters: Parameters) -> str:
    return "total with auxiliary" if parameters.auxiliary else "total"


def _whole(parameters: Parameters) -> int | None:
    if parameters.total is None or parameters.auxiliary is None:
        return None
    return parameters.total + parameters.auxiliary


def _alike(a: Row, b: Row) -> bool:
    return (a.group, a.tensors, a.parameters, a.bytes) == (b.group, b.tensors, b.parameters, b.bytes)


def _layers(run: list[Row]) -> str:
    if not run[0].group:
        return run[0].name
    return fill(f"{literal(run[0].group)}.{{}}", [[int(row.name) for row in run]])
