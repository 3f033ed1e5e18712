"""The sections of a report on one model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from weightscope.analyses.accounting import Parameters, count_whole
from weightscope.analyses.architecture import architecture
from weightscope.analyses.forward.outcome import Outcome
from weightscope.analyses.marking import marks_of
from weightscope.analyses.stats.result import Stats
from weightscope.analyses.stats.untrained import untrained
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
from weightscope.output.report.explorer import data_of, explorer
from weightscope.output.report.findings import findings_list
from weightscope.output.report.page import Kind, Section, page, page_header
from weightscope.output.report.passed import passed_body
from weightscope.output.report.said import instead, said
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
    data = data_of(name, findings, drawn)
    return page(name, _header(contents, name), tuple(_sections(contents, findings, drawn.left_out)), data)


def _header(contents: Contents, name: str) -> Markup:
    verdict: Kind = "ok" if contents.ok else "incomplete" if contents.sound else "failed"
    return page_header(name, subtitle(contents.summary), verdict, _counted(contents), verdict)


def _counted(contents: Contents) -> str:
    """What the verdict rests on."""
    text = f"Checked {looked_at(contents.checked)}: {found(contents.findings) or 'nothing found'}."
    if isinstance(contents.stats, WeightscopeError):
        text += " The values cannot be read."
    return f"{text} The forward pass cannot run." if isinstance(contents.outcome, WeightscopeError) else text


def _sections(contents: Contents, findings: tuple[Finding, ...], left_out: int) -> Iterator[Section]:
    summary = contents.summary
    yield Section(name="overview", heading="Overview", body=_overview(contents))
    yield Section(name="findings", heading="Findings", body=findings_list(findings))
    document = inspect_document(summary)
    table = table_html(document.table, caption="Parameters by component and role")
    body = together(_auxiliary(summary.parameters), explorer(left_out), table)
    yield Section(name="parameters", heading="Parameters", body=body)
    yield Section(name="architecture", heading="Architecture", body=_architecture(contents.model, findings))
    yield Section(name="memory", heading="Memory", body=_memory(contents, findings))
    if contents.stats is not None or contents.drawn is not None:
        yield Section(name="values", heading="Values", body=_values(contents, findings))
    if isinstance(contents.outcome, WeightscopeError):
        yield Section(name="forward", heading="Forward pass", body=instead("Cannot run", contents.outcome, findings))
    elif contents.outcome is not None:
        yield Section(name="forward", heading="Forward pass", body=passed_body(contents.outcome))
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


def _auxiliary(parameters: Parameters) -> Markup:
    """What the shares are of, where that is more than the total."""
    if not parameters.auxiliary or parameters.total is None:
        return Markup()
    total, extra = words.short(parameters.total), words.short(parameters.auxiliary)
    told = f"The total of {total} leaves out {extra} of mtp (layers that predict ahead); areas and shares do not."
    return element("p", told, class_="note")


def _looked(contents: Contents) -> Iterator[tuple[str, str]]:
    stats, outcome = contents.stats, contents.outcome
    verdict = "ok" if contents.checked.ok else "failed"
    yield "Names, shapes", f"{verdict}: {looked_at(contents.checked)}"
    if isinstance(stats, WeightscopeError):
        yield "Values", together("cannot be read: see ", element("a", "Values", href="#values"))
    elif stats is None:
        yield "Values", "not read; --values reads them"
    else:
        hint = "; they look untrained" if untrained(stats) else ""
        yield "Values", f"{_verdict(stats)}{hint}"
    if isinstance(outcome, WeightscopeError):
        yield "Forward pass", together("cannot run: see ", element("a", "Forward pass", href="#forward"))
    elif outcome is None:
        yield "Forward pass", "not run; --forward runs one"
    else:
        left_out = f"; not run: {', '.join(outcome.not_run)}" if outcome.not_run else ""
        yield "Forward pass", f"{_verdict(outcome)}{left_out}"


def _verdict(part: Stats | Outcome) -> str:
    if isinstance(part, Stats) and not part.complete:
        return "interrupted before all were read"
    return "ok" if part.ok else "failed"


def _memory(contents: Contents, findings: Sequence[Finding]) -> Markup:
    if isinstance(contents.memory, WeightscopeError):
        return instead("Not known", contents.memory, findings)
    return said(memory_document(contents.summary, contents.memory), "Memory by part")


def _values(contents: Contents, findings: Sequence[Finding]) -> Markup:
    stats, drawn = contents.stats, contents.drawn
    heatmap = heatmap_body(drawn) if drawn is not None else Markup()
    if stats is None:
        return heatmap
    if isinstance(stats, WeightscopeError):
        return together(instead("Cannot be read", stats, findings), heatmap)
    return together(values_body(stats), heatmap)


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
