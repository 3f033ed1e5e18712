"""The architecture as nested boxes: what a model's parts are, what each computes, and its tensors when it is opened."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from weightscope.analyses.alike import Alike
from weightscope.analyses.architecture import Part
from weightscope.analyses.explaining import config_terms
from weightscope.output import words
from weightscope.output.report.markup import Html, element

# Kinds of layers in a row that are drawn; the rest is said in a line. Real models have up to three.
MOST_KINDS = 12
# The kind of what is neither a buffer nor a scale.
WEIGHT = "weight"
# Characters of a list of layers.
MOST_PATH = 120


def drawing(parts: Sequence[Part], total: int | None) -> Html:
    """The boxes in the order of the forward pass; `total` is what shares are of."""
    return element("ol", _boxes(parts, total), class_="drawing")


def _boxes(parts: Sequence[Part], total: int | None) -> Iterator[Html]:
    for repeats, run in groupby(parts, key=lambda part: bool(part.repeats)):
        members = list(run)
        shown = members[:MOST_KINDS] if repeats else members
        yield from (_box(part, total) for part in shown)
        if left := members[len(shown) :]:
            count = sum(part.parameters or 0 for part in left)
            text = f"and {words.plural(len(left), 'more kind')} of layers, {words.short(count)} parameters"
            yield element("li", element("p", text), class_="box")


def _box(part: Part, total: int | None) -> Html:
    section = f" component-{part.section}" if part.section else ""
    kind = "repeat" if part.repeats else "frame" if part.parts and not part.tensors else "part"
    inside = element("ol", _boxes(part.parts, total), class_="drawing") if part.parts else None
    heading = (
        element("span", part.title, class_="title"),
        element("span", part.glance, class_="glance") if part.glance else None,
        element("span", _amount(part, total), class_="amount"),
        element("code", _shortened(part.path), class_="path") if part.path else None,
        element("span", part.equation, class_="equation") if part.equation else None,
    )
    if not part.tensors:
        return element("li", element("div", heading, class_="heading"), inside, class_=f"box {kind}{section}")
    opened = element("details", element("summary", heading, class_="heading"), _terms(part), _tensors(part.tensors))
    return element("li", opened, inside, class_=f"box {kind}{section}")


def _amount(part: Part, total: int | None) -> str:
    if part.parameters is None:
        return "parameters unknown"
    share = f" · {words.percent(part.parameters / total)}" if total else ""
    return f"{words.short(part.parameters)}{share}"


def _shortened(path: str) -> str:
    return path if len(path) <= MOST_PATH else f"{path[:MOST_PATH]}…"


def _terms(part: Part) -> Html | None:
    """What each role makes, and what more is worth knowing of it."""
    rows = []
    for role, term in part.terms.items():
        first, *more = filter(None, (piece.strip() for piece in term.split("   ")))
        rows.append((element("dt", role), element("dd", first), (element("dd", text, class_="note") for text in more)))
    return element("dl", rows, class_="facts") if len(rows) > 1 else None


def _tensors(tensors: Iterable[Alike]) -> Html:
    """A row for each kind of tensor, with its shape in config terms."""
    head = (element("th", title, scope="col") for title in ("Tensor", "Shape", "Config terms", "Dtype"))
    return element(
        "div",
        element("table", element("thead", element("tr", head)), element("tbody", map(_row, tensors))),
        class_="scrolls",
        tabindex="0",
        role="region",
        aria_label="Tensors",
    )


def _row(tensors: Alike) -> Html:
    group = tensors.group
    terms = config_terms(group.shape or ())
    shape = "" if tensors.shape is None else f"[{', '.join(f'{size:,}' for size in tensors.shape)}]"
    kind = "" if group.kind == WEIGHT else f" ({group.kind})"
    packed = f" ({group.scheme.name})" if group.scheme is not None and group.kind == WEIGHT else ""
    return element(
        "tr",
        element("th", element("code", _shortened(tensors.title)), kind, scope="row"),
        element("td", shape, class_="shape"),
        element("td", f"[{', '.join(terms)}]" if terms else ""),
        element("td", f"{tensors.dtype or 'none stored'}{packed}"),
    )
