"""The section about the forward pass: the stages as bars, and all that `forward --stages` says."""

from __future__ import annotations

from msgspec.structs import replace

from weightscope.analyses.forward.outcome import Outcome
from weightscope.output.document import Table
from weightscope.output.forward import forward_document
from weightscope.output.pictures import picture_of_stages
from weightscope.output.report.said import said
from weightscope.output.web.documents import figure_html, table_html
from weightscope.output.web.elements import Markup, element, together

# Of more stages the table opens with a click.
MOST = 24


def passed_body(outcome: Outcome) -> Markup:
    """A bar a stage, what came out, and the table of stages."""
    picture = picture_of_stages(outcome.stages) if outcome.stages else None
    figure = figure_html(picture.title, picture.drawn) if picture else ""
    document = forward_document(outcome, stages=True)
    table = table_html(document.table, caption="Stages of the forward pass")
    if len(outcome.stages) > MOST:
        table = element("details", element("summary", f"All {len(outcome.stages):,} stages"), table)
    return together(figure, said(replace(document, table=Table(columns=(), rows=())), ""), table)
