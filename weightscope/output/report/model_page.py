"""The sections of a report on one model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from weightscope.analyses.accounting import count_whole
from weightscope.analyses.architecture import architecture
from weightscope.analyses.forward.outcome import Outcome
from weightscope.analyses.marking import marks_of
from weightscope.analyses.stats.result import Stats
from weightscope.analyses.summary import Summary
from weightscope.analyses.treemap import treemap
from weightscope.api.model import Model
from weightscope.api.reporting import Contents
from weightscope.errors import WeightscopeError
from weightscope.findings import Finding
from weightscope.output import words
from weightscope.output.document import Column, Table
from weightscope.output.facts import facts, subtitle, title
from weightscope.output.inspect import inspect_document
from weightscope.output.memory import memory_document
from weightscope.output.overview import found, looked_at
from weightscope.output.report.drawing import Drawn, drawing
from weightscope.output.report.explorer import explorer
from weightscope.output.report.findings import findings_list
from weightscope.output.report.page import Section, page, page_header
from weightscope.output.report.passed import passed_body
from weightscope.output.report.said import said, unknown
from weightscope.output.report.values import heatmap_body, values_body
from weightscope.output.web.documents import facts_html, table_html
from weightscope.output.web.elements import Markup, element, together

# Rows of the table of files.
MOST_FILES = 500


def model_page(contents: Contents) -> str:
    """The whole file."""
    name = title(contents.summary)
    findings = contents.findings
    drawn = treemap(contents.model.subject(), findings)
    data = {
        "title": name,
        "findings": [{"severity": each.severity, "code": each.code, "message": each.message} for each in findings],
        "kinds": drawn.kinds,
        "sets": drawn.sets,
    }
    return page(name, _header(contents, name), tuple(_sections(contents, findings, drawn.left_out)), data)


def _header(contents: Contents, name: str) -> Markup:
    verdict = "ok" if contents.ok else "failed"
    return page_header(name, subtitle(contents.summary), verdict, _counted(contents), ok=contents.ok)


def _counted(contents: Contents) -> str:
    """What the verdict rests on."""
    return f"Checked {looked_at(contents.checked)}: {found(contents.findings) or 'nothing found'}."


def _sections(contents: Contents, findings: tuple[Finding, ...], left_out: int) -> Iterator[Section]:
    summary = contents.summary
    yield Section(name="overview", heading="Overview", body=_overview(contents))
    yield Section(name="findings", heading="Findings", body=findings_list(findings))
    document = inspect_document(summary)
    table = table_html(document.table, caption="Parameters by component and role")
    yield Section(name="parameters", heading="Parameters", body=together(explorer(left_out), table))
    yield Section(name="architecture", heading="Architecture", body=_architecture(contents.model, findings))
    yield Section(name="memory", heading="Memory", body=_memory(contents))
    if contents.stats is not None or contents.drawn is not None:
        yield Section(name="values", heading="Values", body=_values(contents))
    if (outcome := contents.outcome) is not None:
        body = unknown(outcome) if isinstance(outcome, WeightscopeError) else passed_body(outcome)
        yield Section(name="forward", heading="Forward pass", body=body)
    if summary.files:
        yield Section(name="files", heading="Files", body=_files(contents))


def _overview(contents: Contents) -> Markup:
    summary = contents.summary
    notes = [element("p", note, class_="note") for note in summary.model.notes]
    shown = facts_html((("Model", summary.model.reference), *facts(summary)))
    looked = element("div", element("h3", "What was looked at"), facts_html(_looked(contents)), class_="looked")
    return together(_figures(summary), shown, *notes, looked)


def _figures(summary: Summary) -> Markup:
    """The few numbers that most people look for."""
    parameters, quantization = summary.parameters, summary.model.quantization
    routed = parameters.active is not None and parameters.active != parameters.total
    bits = parameters.bits_per_parameter
    pairs = (
        ("parameters", None if parameters.total is None else words.short(parameters.total)),
        ("active per token", words.short(parameters.active or 0) if routed else None),
        ("in files", words.size(summary.bytes) if summary.bytes else None),
        ("bits per parameter", f"{bits:.4g}" if bits else None),
        ("quantization", quantization),
        ("tensors", words.count(summary.tensors.total) if summary.tensors.total else None),
    )
    items = [element("li", element("strong", text), element("span", label)) for label, text in pairs if text]
    return element("ul", *items, class_="figures", aria_label="Main figures")


def _looked(contents: Contents) -> Iterator[tuple[str, str]]:
    verdict = "ok" if contents.checked.ok else "failed"
    yield "Names, shapes", f"{verdict}: {looked_at(contents.checked)}"
    yield "Values", _verdict(contents.stats, "not read; --values reads them", "cannot be read")
    passed = _verdict(contents.outcome, "not run; --forward runs one", "cannot run")
    left_out = contents.outcome.not_run if isinstance(contents.outcome, Outcome) else ()
    yield "Forward pass", f"{passed}; not run: {', '.join(left_out)}" if left_out else passed


def _verdict(part: Stats | Outcome | WeightscopeError | None, unasked: str, failing: str) -> str:
    if part is None:
        return unasked
    if isinstance(part, WeightscopeError):
        return f"{failing}: {part}"
    return "ok" if part.ok else "failed"


def _memory(contents: Contents) -> Markup:
    if isinstance(contents.memory, WeightscopeError):
        return unknown(contents.memory)
    return said(memory_document(contents.summary, contents.memory), "Memory by part")


def _values(contents: Contents) -> Markup:
    stats, drawn = contents.stats, contents.drawn
    body = Markup() if stats is None else unknown(stats) if isinstance(stats, WeightscopeError) else values_body(stats)
    return together(body, heatmap_body(drawn) if drawn is not None else "")


def _architecture(model: Model, findings: Sequence[Finding]) -> Markup:
    parts = {name: part for name, part in model.parts.items() if part.declaration is not None}
    if parts:
        return together(*(together(element("h3", name), _drawn(part, findings)) for name, part in parts.items()))
    return _drawn(model, findings)


def _drawn(model: Model, findings: Sequence[Finding]) -> Markup:
    if model.declaration is None:
        kind = (
            "An adapter has none of its own."
            if model.adapter
            else "This model type is not declared, so it is not known."
        )
        return element("p", kind)
    parts = architecture(model.declaration, model.inventory, model.tying, model.checkpoint.tensors)
    total, marks = count_whole(model.inventory, model.tying), marks_of(model.subject(), findings)
    return drawing(parts, Drawn(total=total, findings=findings, marks=marks))


def _files(contents: Contents) -> Markup:
    columns = (Column(title="File"), Column(title="Tensors", kind="count"), Column(title="Bytes", kind="bytes"))
    rows = tuple((file.name, file.tensors, file.bytes) for file in contents.summary.files)
    return table_html(Table(columns=columns, rows=rows), caption="Weight files", most=MOST_FILES)
