"""The section about values: the figures by role, how they go over the layers, how large they are, one matrix."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from weightscope.analyses.stats.figures import BINS, HIGHEST, LOWEST
from weightscope.analyses.stats.result import RoleStats, Stats
from weightscope.api.tensors import Tensor
from weightscope.errors import WeightscopeError
from weightscope.output.figures.histogram import histogram
from weightscope.output.pictures import picture_of_layers, picture_of_values
from weightscope.output.report.said import instead, said
from weightscope.output.stats import stats_document
from weightscope.output.web.documents import figure_html
from weightscope.output.web.elements import Markup, element, together

POWERS = tuple(f"2^{power}" for power in range(LOWEST, HIGHEST + 1))


def values_body(stats: Stats) -> Markup:
    """The table by role, and the figures."""
    profiles = [figure_html(title, drawn) for title, drawn in _profiles(stats)]
    histograms = [figure_html(title, drawn) for title, drawn in _histograms(stats)]
    return together(
        said(stats_document(stats), "Values by role"),
        element("h3", "Over the layers") if profiles else "",
        element("div", *profiles, class_="figures-grid wide"),
        element("h3", "Magnitudes"),
        element("p", "How many values lie in each power of two.", class_="note"),
        element("div", *histograms, class_="figures-grid"),
    )


def heatmap_body(tensor: Tensor) -> Markup:
    """One matrix as a picture."""
    try:
        picture = picture_of_values(tensor)
    except WeightscopeError as error:
        return instead("Cannot be drawn", error)
    return together(element("h3", "Heatmap"), figure_html(element("code", tensor.name), picture.drawn))


def _profiles(stats: Stats) -> Iterator[tuple[str, str]]:
    """All weights over the layers, and the roles of each component."""
    if not stats.layers:
        return
    yield "RMS by layer: all weights", picture_of_layers(stats, ()).drawn
    components: dict[str, list[RoleStats]] = {}
    for row in stats.roles:
        if row.kind == "weight" and row.stack is not None:
            components.setdefault(row.component, []).append(row)
    for name, rows in components.items():
        roles = tuple(dict.fromkeys(role for row in rows for role in row.roles))
        # Another component may have the same roles.
        yield f"RMS by layer: {name}", picture_of_layers(replace(stats, roles=tuple(rows)), roles).drawn


def _histograms(stats: Stats) -> Iterator[tuple[str, str]]:
    """The magnitudes of each role, all over the same powers of two."""
    rows = [row for row in stats.roles if row.kind == "weight" and any(row.figures.magnitudes)]
    used = [place for place in range(BINS) if any(row.figures.magnitudes[place] for row in rows)]
    for row in rows:
        shown = slice(used[0], used[-1] + 1)
        told = f"{row.figures.finite - row.figures.zeros:,} values other than zero by their magnitude."
        title = _name(row)
        yield title, histogram(row.figures.magnitudes[shown], POWERS[shown], title=title, description=told)


def _name(row: RoleStats) -> str:
    stack = f" in {row.stack}" if row.stack else ""
    return f"{row.component} {' + '.join(row.roles)}{stack}"
