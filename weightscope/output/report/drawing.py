"""The architecture as nested boxes: what a model's parts are, what each computes, and its tensors when it is opened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

import msgspec

from weightscope.analyses.alike import Alike
from weightscope.analyses.architecture import Part
from weightscope.analyses.explaining import config_terms
from weightscope.analyses.marking import Marks, marked
from weightscope.findings import Finding
from weightscope.output import words
from weightscope.output.report.findings import badge
from weightscope.output.web.documents import facts_html
from weightscope.output.web.elements import Markup, element

# Kinds of layers in a row that are drawn; the rest is said in a line. Real models have up to three.
MOST_KINDS = 12
# The kind of what is neither a buffer nor a scale.
WEIGHT = "weight"
# Characters of a list of layers.
MOST_PATH = 120


class Drawn(msgspec.Struct, frozen=True, kw_only=True):
    """What the boxes say beside the parts: shares of `total`, and the findings that `marks` put at tensors."""

    total: int | None
    findings: Sequence[Finding]
    marks: Marks


def drawing(parts: Sequence[Part], drawn: Drawn) -> Markup:
    """The boxes in the order of the forward pass."""
    return element("ol", *_boxes(parts, drawn), class_="drawing")


def _boxes(parts: Sequence[Part], drawn: Drawn) -> Iterator[Markup]:
    for repeats, run in groupby(parts, key=lambda part: part.repeats):
        members = list(run)
        shown = members[:MOST_KINDS] if repeats else members
        yield from (_box(part, drawn) for part in shown)
        if left := members[len(shown) :]:
            count = sum(part.parameters or 0 for part in left)
            text = f"and {words.plural(len(left), 'more kind')} of layers, {words.short(count)} parameters"
            yield element("li", element("p", text), class_="box")


def _box(part: Part, drawn: Drawn) -> Markup:
    section = f" component-{part.section}" if part.section else ""
    kind = "repeat" if part.repeats else "frame" if part.parts and not part.tensors else "part"
    inside = element("ol", *_boxes(part.parts, drawn), class_="drawing") if part.parts else ""
    heading = (
        element("span", part.title, class_="title"),
        element("span", part.glance.removeprefix(f"{part.title} "), class_="glance") if part.glance else "",
        element("span", _amount(part, drawn.total), class_="amount"),
        element("code", _shortened(part.path), class_="path") if part.path else "",
        element("span", part.equation, class_="equation") if part.equation else "",
        *_found(part, drawn),
    )
    if not part.tensors:
        return element("li", element("div", *heading, class_="heading"), inside, class_=f"box {kind}{section}")
    opened = element("details", element("summary", *heading, class_="heading"), _terms(part), _tensors(part))
    return element("li", opened, inside, class_=f"box {kind}{section}")


def _found(part: Part, drawn: Drawn) -> Iterator[Markup]:
    """The codes of the findings about a box's own tensors, stored or missing."""
    templates = {*part.templates, *(tensors.group.template for tensors in part.tensors)}
    places = {place for template in templates for place in marked(drawn.marks, template, part.layers)}
    for place in sorted(places):
        yield badge(drawn.findings[place], code=True)


def _amount(part: Part, total: int | None) -> str:
    if part.parameters is None:
        return "parameters unknown"
    share = f" · {words.percent(part.parameters / total)}" if total else ""
    return f"{words.short(part.parameters)}{share}"


def _shortened(path: str) -> str:
    return path if len(path) <= MOST_PATH else f"{path[:MOST_PATH]}…"


def _terms(part: Part) -> Markup:
    """What each role makes, and what more is worth knowing of it."""
    if len(part.terms) < 2:
        return Markup()
    return facts_html((role, term) for role, term in part.terms.items())


def _tensors(part: Part) -> Markup:
    """A row for each kind of tensor, with its shape in config terms; names begin where the box's own ends."""
    head = [element("th", title, scope="col") for title in ("Tensor", "Shape", "Config terms", "Dtype")]
    table = element(
        "table",
        element("thead", element("tr", *head)),
        element("tbody", *(_row(tensors, f"{part.path}.") for tensors in part.tensors)),
        class_="ws-table",
    )
    return element("div", table, class_="ws-scroll", tabindex="0", role="group", aria_label="Tensors")


def _row(tensors: Alike, path: str) -> Markup:
    group = tensors.group
    terms = config_terms(group.shape or ())
    shape = "" if tensors.shape is None else f"[{', '.join(f'{size:,}' for size in tensors.shape)}]"
    kind = "" if group.kind == WEIGHT else f" ({group.kind})"
    packed = f" ({group.scheme.name})" if group.scheme is not None and group.kind == WEIGHT else ""
    return element(
        "tr",
        element("th", element("code", _shortened(tensors.title.removeprefix(path))), kind, scope="row"),
        element("td", shape, class_="shape"),
        element("td", f"[{', '.join(terms)}]" if terms else ""),
        element("td", f"{tensors.dtype or 'none stored'}{packed}"),
    )
