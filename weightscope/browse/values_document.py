"""The documents of a tensor's values."""

from __future__ import annotations

from collections.abc import Iterator

from weightscope.analyses.stats.figures import LOWEST, Figures
from weightscope.browse.values import Values
from weightscope.output import words
from weightscope.output.columns import SHARE
from weightscope.output.document import Cell, Column, Document, Table

MAGNITUDE, VALUES = Column(title="Magnitude ≥"), Column(title="Values", kind="count")
# Characters of a column of numbers, its gap included.
COLUMN = 12
# And of the bar of the most frequent magnitude.
BAR = 12
# From so many characters on there is room for counts.
ROOM = 60


def values_documents(values: Values, width: int) -> Iterator[Document]:
    """The figures with a histogram, then the corner: as many columns as the width has room for."""
    figures = values.figures
    yield Document(
        data=None,
        title="Values",
        subtitle=f"dequantized: {values.scheme}" if values.scheme else "as stored",
        facts=tuple(_facts(figures)),
        table=_histogram(figures, width),
    )
    corner = [row[: max(1, (width - 3) // COLUMN)] for row in values.corner]
    if not corner or not corner[0]:
        return
    shown = f"first {len(corner)} × {len(corner[0])}" if len(values.shape) > 1 else f"first {len(corner[0])}"
    numbers = tuple(Column(title=str(column), kind="number") for column in range(len(corner[0])))
    yield Document(
        data=None,
        title="Corner",
        subtitle=f"{shown} of {list(values.shape)}",
        facts=(),
        table=Table(
            columns=(Column(title=""), *numbers), rows=tuple((str(place), *row) for place, row in enumerate(corner))
        ),
    )


def failure_document(error: Exception) -> Document:
    """Why the values could not be read."""
    return Document(data=None, title="Values", subtitle="not read", facts=(), notes=(str(error),))


def _facts(figures: Figures) -> Iterator[tuple[str, str]]:
    for label, value in (
        ("Mean", figures.mean),
        ("Std", figures.std),
        ("Min", figures.min),
        ("Max", figures.max),
        ("RMS", figures.rms),
    ):
        yield label, "–" if value is None else f"{value:.6g}"
    for label, number in (
        ("Zeros", figures.zeros),
        ("NaN", figures.nan),
        ("+Inf", figures.positive_infinite),
        ("-Inf", figures.negative_infinite),
    ):
        if number or label == "Zeros":
            share = number / figures.elements if figures.elements else 0.0
            yield label, f"{words.count(number)} of {words.count(figures.elements)}   {words.percent(share)}"


def _histogram(figures: Figures, width: int) -> Table:
    """Finite values other than zero by powers of two, from the least to the largest that is there."""
    counts = figures.magnitudes
    there = [place for place, count in enumerate(counts) if count]
    rows: list[tuple[Cell, ...]] = []
    for place in range(there[0], there[-1] + 1) if there else ():
        number = (counts[place],) if width >= ROOM else ()
        share, bar = counts[place] / figures.elements, words.bar(counts[place] / max(counts), BAR)
        rows.append((_power(place, len(counts)), *number, share, bar))
    return Table(columns=(MAGNITUDE, *([VALUES] if width >= ROOM else []), SHARE, Column(title="")), rows=tuple(rows))


def _power(place: int, places: int) -> str:
    """The least magnitude that is counted there; at the ends, what is beyond is counted too."""
    power = place + LOWEST
    if place == 0:
        return f"below 2^{power + 1}"
    return f"2^{power} and more" if place == places - 1 else f"2^{power} = {2.0**power:.3g}"
