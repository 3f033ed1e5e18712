"""The section about the forward pass: the stages as bars, and all that `forward --stages` says."""

from __future__ import annotations

from weightscope.analyses.forward.outcome import Outcome
from weightscope.output.forward import forward_document
from weightscope.output.pictures import picture_of_stages
from weightscope.output.report.said import said
from weightscope.output.web.elements import Markup, element, together


def passed_body(outcome: Outcome) -> Markup:
    """A bar a stage, and their table."""
    drawn = Markup(picture_of_stages(outcome.stages).drawn) if outcome.stages else Markup()
    figure = element("figure", element("figcaption", "RMS after each stage"), drawn) if drawn else ""
    return together(figure, said(forward_document(outcome, stages=True), "Stages of the forward pass"))
