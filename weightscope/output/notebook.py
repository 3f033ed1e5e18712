"""What a notebook shows of the objects that Python gets: the documents that the commands print, as HTML."""

from __future__ import annotations

from functools import singledispatch

from weightscope.analyses.diff.result import Diff
from weightscope.analyses.explaining import Explanation
from weightscope.analyses.forward.result import Result
from weightscope.analyses.lock.record import Lock
from weightscope.analyses.memory.report import Memory
from weightscope.analyses.stats.result import Stats
from weightscope.analyses.training.split import Trainable
from weightscope.api.model import Model
from weightscope.api.tensors import Tensor, Tensors
from weightscope.errors import WeightscopeError
from weightscope.findings import Finding, Findings
from weightscope.output.diff import diff_document
from weightscope.output.document import Document
from weightscope.output.explanation import explained
from weightscope.output.figure import Figure
from weightscope.output.inspect import inspect_document
from weightscope.output.memory import needs
from weightscope.output.objects import lock_document, result_document, tensor_document, tensors_document
from weightscope.output.overview import found
from weightscope.output.pictures import picture_of_layers, picture_of_stages
from weightscope.output.stats import stats_document
from weightscope.output.trainable import trained
from weightscope.output.web.documents import document_html, figure_html, findings_html
from weightscope.output.web.elements import Markup, element, together
from weightscope.output.web.style import style

# Rows of a table and findings that are shown; who wants all asks for them.
MOST = 100
# Under the headings of a notebook's own.
LEVEL = 4


def html_of(value: object) -> str | None:
    """The object as HTML with its style; None where it cannot be told, so that its plain form is shown."""
    try:
        content = _content(value)
    except WeightscopeError:
        return None
    return element("div", element("style", Markup(style())), content, class_="weightscope")


def _section(document: Document) -> Markup:
    return document_html(document, level=LEVEL, most=MOST)


def _shown(figure: Figure) -> Markup:
    return figure_html(figure.title, figure.drawn)


@singledispatch
def _content(value: object) -> Markup:
    return element("pre", repr(value))


@_content.register
def _(model: Model) -> Markup:
    return _section(inspect_document(model.summary(), model.usual_state()))


@_content.register
def _(findings: Findings) -> Markup:
    words = f"{found(findings)}:" if findings else "no findings"
    return together(element("p", words), findings_html(findings, most=MOST) if findings else "")


@_content.register
def _(finding: Finding) -> Markup:
    return findings_html([finding])


@_content.register
def _(stats: Stats) -> Markup:
    return together(_section(stats_document(stats)), _shown(picture_of_layers(stats, ())) if stats.layers else "")


@_content.register
def _(diff: Diff) -> Markup:
    return _section(diff_document(diff))


@_content.register
def _(memory: Memory) -> Markup:
    return _section(needs(memory))


@_content.register
def _(trainable: Trainable) -> Markup:
    return _section(trained(trainable))


@_content.register
def _(explanation: Explanation) -> Markup:
    return _section(explained(explanation))


@_content.register
def _(result: Result) -> Markup:
    return together(
        _section(result_document(result)), _shown(picture_of_stages(result.stages)) if result.stages else ""
    )


@_content.register
def _(lock: Lock) -> Markup:
    return _section(lock_document(lock))


@_content.register
def _(tensors: Tensors) -> Markup:
    return _section(tensors_document(tensors, MOST))


@_content.register
def _(tensor: Tensor) -> Markup:
    return _section(tensor_document(tensor))
