"""The page about what differs between two models."""

from __future__ import annotations

from collections.abc import Iterator

from weightscope.analyses.diff.result import Diff
from weightscope.analyses.treemap import Treemap
from weightscope.api.reporting import NotCompared
from weightscope.output import words
from weightscope.output.diff import diff_document
from weightscope.output.diff_counts import counts_document
from weightscope.output.document import Column, Table
from weightscope.output.facts import title_of
from weightscope.output.overview import found
from weightscope.output.report.explorer import data_of, explorer
from weightscope.output.report.findings import findings_list
from weightscope.output.report.page import Kind, Section, page, page_header
from weightscope.output.report.said import instead, said
from weightscope.output.web.documents import table_html
from weightscope.output.web.elements import element, together

# Weights of which the values were compared, the most different first.
MOST = 300
COLUMNS = (
    Column(title="Weight", kind="name"),
    Column(title="Elements", kind="count"),
    Column(title="Differing", kind="count"),
    Column(title="|A-B|/|A|", kind="number"),
    Column(title="Cosine", kind="number"),
    Column(title="Largest", kind="number"),
)


def diff_page(diff: Diff, drawn: Treemap, failed: NotCompared) -> str:
    """The whole file; the verdict comes first, `drawn` is of B."""
    title = f"{title_of(diff.a.reference)} and {title_of(diff.b.reference)}"
    sides = f"A: {diff.a.reference} · B: {diff.b.reference}"
    counted = f"{found(diff.findings) or 'nothing found'}."
    kind: Kind = "failed" if not diff.ok else "incomplete" if failed.first else "ok"
    header = page_header(title, sides, diff.verdict.text, counted, kind)
    data = data_of(title_of(diff.b.reference), diff.findings, drawn)
    return page(title, header, tuple(_sections(diff, drawn, failed)), data)


def _sections(diff: Diff, drawn: Treemap, failed: NotCompared) -> Iterator[Section]:
    yield Section(name="overview", heading="Overview", body=said(diff_document(diff), "Values by role"))
    yield Section(name="findings", heading="Findings", body=findings_list(diff.findings))
    counts = counts_document(diff)
    same = element("p", f"Both have the same in each component: {words.plural(diff.a.parameters or 0, 'parameter')}.")
    body = table_html(counts.table, caption=counts.title) if counts else same
    of_b = element("p", "The parameters of B; colours show what the findings are about.")
    shown = together(of_b, explorer(drawn.left_out, colour="finding"), body)
    yield Section(name="parameters", heading="Parameters", body=shown)
    if failed.values:
        yield Section(name="weights", heading="Weights", body=instead("Values were not compared", failed.values))
    if failed.logits:
        yield Section(name="forward", heading="Forward pass", body=instead("Logits were not compared", failed.logits))
    if diff.values:
        yield Section(name="weights", heading="Weights", body=table_html(_weights(diff), caption="Weights", most=MOST))


def _weights(diff: Diff) -> Table:
    """Each compared weight, the most different first."""
    compared = sorted(diff.values or (), key=lambda value: -(value.relative or 0))
    rows = tuple(
        (each.address, each.elements, each.differing, each.relative, each.cosine, each.largest) for each in compared
    )
    return Table(columns=COLUMNS, rows=rows)
