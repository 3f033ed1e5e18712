"""The sections of a report on one model."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from weightscope.analyses.accounting import count_whole
from weightscope.analyses.architecture import architecture
from weightscope.analyses.summary import Summary
from weightscope.analyses.treemap import treemap
from weightscope.api.model import Model
from weightscope.findings import Finding
from weightscope.output import words
from weightscope.output.document import Column, Table
from weightscope.output.facts import facts, subtitle, title
from weightscope.output.forward import forward_document
from weightscope.output.inspect import inspect_document
from weightscope.output.memory import memory_document
from weightscope.output.overview import found
from weightscope.output.report.contents import Contents
from weightscope.output.report.drawing import drawing
from weightscope.output.report.explorer import explorer
from weightscope.output.report.markup import Html, element, joined
from weightscope.output.report.page import Section, page
from weightscope.output.report.tables import document_body, facts_list, findings_list, table_of
from weightscope.output.stats import stats_document

ASK_VALUES, ASK_FORWARD = "not read; --values reads them", "not run; --forward runs one"


def model_page(contents: Contents) -> str:
    """The whole file."""
    name = title(contents.summary)
    findings = all_findings(contents)
    data = {
        "title": name,
        "findings": [{"severity": each.severity, "code": each.code, "message": each.message} for each in findings],
        **msgspec.structs.asdict(treemap(contents.model.subject(), findings)),
    }
    return page(name, _header(contents, name), tuple(_sections(contents, findings)), data)


def all_findings(contents: Contents) -> tuple[Finding, ...]:
    """What `check` found, and then what values and pass add."""
    stats = contents.stats.findings if contents.stats else ()
    passed = contents.outcome.findings if contents.outcome else ()
    found: list[Finding] = []
    # What a finding expected may be a list, which has no hash.
    for finding in (*contents.checked.findings, *stats, *passed):
        if finding not in found:
            found.append(finding)
    return tuple(found)


def _header(contents: Contents, name: str) -> Html:
    verdict = "ok" if contents.ok else "failed"
    return element(
        "header",
        element("p", "weightscope report", class_="kicker"),
        element("h1", name),
        element("p", subtitle(contents.summary), class_="subtitle"),
        element(
            "p", element("strong", verdict, class_=f"verdict {verdict}"), _counted(contents), class_="verdict-line"
        ),
    )


def _counted(contents: Contents) -> str:
    """What the verdict rests on."""
    tensors, rules = contents.checked.checked.tensors, contents.checked.checked.rules
    said = found(all_findings(contents)) or "nothing found"
    return f"Checked {words.plural(tensors, 'tensor')}, {words.plural(rules, 'rule')}: {said}."


def _sections(contents: Contents, findings: tuple[Finding, ...]) -> Iterator[Section]:
    summary = contents.summary
    yield Section(name="overview", heading="Overview", body=_overview(contents))
    body = findings_list(findings, ids=True) or element("p", "None.")
    yield Section(name="findings", heading="Findings", body=body)
    document = inspect_document(summary)
    table = table_of(document.table, "Parameters by component and role")
    yield Section(name="parameters", heading="Parameters", body=joined((explorer(), table)))
    yield Section(name="architecture", heading="Architecture", body=_architecture(contents.model))
    if contents.memory is not None:
        memory = document_body(memory_document(summary, contents.memory), "Memory by part")
    else:
        memory = element("p", contents.no_memory)
    yield Section(name="memory", heading="Memory", body=memory)
    if contents.stats is not None:
        values = document_body(stats_document(contents.stats), "Values by role")
        yield Section(name="values", heading="Values", body=values)
    if contents.outcome is not None:
        stages = document_body(forward_document(contents.outcome, stages=True), "Stages of the forward pass")
        yield Section(name="forward", heading="Forward pass", body=stages)
    if summary.files:
        yield Section(name="files", heading="Files", body=_files(contents))


def _overview(contents: Contents) -> Html:
    summary = contents.summary
    notes = (element("p", note, class_="note") for note in summary.model.notes)
    shown = facts_list((("Model", summary.model.reference), *facts(summary)))
    looked = element("div", element("h3", "What was looked at"), facts_list(_looked(contents)), class_="looked")
    return joined((_figures(summary), shown, notes, looked))


def _figures(summary: Summary) -> Html:
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
    items = (element("li", element("strong", text), element("span", label)) for label, text in pairs if text)
    return element("ul", items, class_="figures", aria_label="Main figures")


def _looked(contents: Contents) -> Iterator[tuple[str, str]]:
    checked, stats, outcome = contents.checked, contents.stats, contents.outcome
    rules = words.plural(checked.checked.rules, "rule")
    verdict = "ok" if checked.ok else "failed"
    yield "Names, shapes", f"{verdict}: {words.plural(checked.checked.tensors, 'tensor')}, {rules}"
    yield "Values", contents.no_stats or (ASK_VALUES if stats is None else "ok" if stats.ok else "failed")
    yield "Forward pass", contents.no_outcome or (ASK_FORWARD if outcome is None else "ok" if outcome.ok else "failed")


def _architecture(model: Model) -> Html:
    parts = {name: part for name, part in model.parts.items() if part.declaration is not None}
    if parts:
        return joined((element("h3", name), _drawn(part)) for name, part in parts.items())
    return _drawn(model)


def _drawn(model: Model) -> Html:
    if model.declaration is None:
        kind = (
            "An adapter has none of its own."
            if model.adapter
            else "This model type is not declared, so it is not known."
        )
        return element("p", kind)
    parts = architecture(model.declaration, model.inventory, model.tying, model.checkpoint.tensors)
    return drawing(parts, count_whole(model.inventory, model.tying))


def _files(contents: Contents) -> Html:
    columns = (Column(title="File"), Column(title="Tensors", kind="count"), Column(title="Bytes", kind="bytes"))
    rows = tuple((file.name, file.tensors, file.bytes) for file in contents.summary.files)
    return table_of(Table(columns=columns, rows=rows), "Weight files")
