"""The places on the page that the treemap's scripts fill; without scripts they stay hidden."""

from __future__ import annotations

from collections.abc import Sequence

from weightscope.analyses.treemap import Treemap
from weightscope.findings import Finding
from weightscope.output import words
from weightscope.output.web.elements import Markup, element

MEASURES = (("parameters", "parameters"), ("bytes", "bytes"), ("tensors", "number of tensors"))
COLOURS = (("component", "component"), ("dtype", "dtype"), ("finding", "findings"))
HELP = "Arrow keys move between parts, Enter opens one, Escape goes back."


def explorer(left_out: int, colour: str = "component") -> Markup:
    """Search and choices, the way to what is open, the treemap, its legend, and details of what is chosen.

    `left_out` are tensors that are too many to draw. Tiles are coloured by `colour` at first.
    """
    note = f"The {words.plural(left_out, 'smallest tensor')} are too many to draw or to search." if left_out else ""
    return element(
        "div",
        element(
            "div",
            _search(),
            _select("measure", "Size", MEASURES, "parameters"),
            _select("colour", "Colour", COLOURS, colour),
            class_="controls",
        ),
        element("p", "", id="search-status", role="status", aria_live="polite"),
        element("ul", id="results", hidden="hidden", aria_label="Search results"),
        element("nav", element("ol", id="trail"), aria_label="Opened part", class_="trail"),
        element(
            "div",
            element(
                "div",
                element("div", id="map", role="group", aria_label="Treemap", aria_describedby="map-help"),
                element("p", HELP, id="map-help", class_="note"),
                element("p", note, class_="note") if note else "",
                element("ul", id="legend", aria_label="Colours"),
            ),
            element("div", id="details", role="region", aria_label="Details", aria_live="polite"),
            class_="split",
        ),
        id="explorer",
        hidden="hidden",
    )


def data_of(title: str, findings: Sequence[Finding], drawn: Treemap) -> dict[str, object]:
    """What the treemap's scripts read."""
    return {
        "title": title,
        "findings": [{"severity": each.severity, "code": each.code, "message": each.message} for each in findings],
        "kinds": drawn.kinds,
        "sets": drawn.sets,
        "auxiliary": drawn.auxiliary,
    }


def _search() -> Markup:
    return element(
        "label",
        "Search ",
        element(
            "input",
            id="search",
            type="search",
            placeholder="name, role, component",
            autocomplete="off",
            spellcheck="false",
        ),
    )


def _select(name: str, label: str, options: tuple[tuple[str, str], ...], chosen: str) -> Markup:
    choices = [
        element("option", text, value=value, selected="selected" if value == chosen else None)
        for value, text in options
    ]
    return element("label", f"{label} ", element("select", *choices, id=name))
