"""What `--spectrum` adds to the tables of `weightscope stats`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from statistics import median

from weightscope.analyses.stats.result import Stats, TensorStats
from weightscope.analyses.stats.spectrum import TOLD
from weightscope.output import words
from weightscope.output.document import Cell, Column

COLUMNS = (Column(title="Effective rank", kind="share"), Column(title="Largest σ", kind="number"))
TITLES = ("Effective rank", "Stable rank", "Singular values")


def spectrum_columns(stats: Stats) -> tuple[Column, ...]:
    """None unless spectra were asked for."""
    return () if stats.too_large is None else COLUMNS


def spectrum_cells(stats: Stats, rows: Iterable[TensorStats]) -> tuple[Cell, ...]:
    """Of some tensors: the median of effective ranks as shares of full rank, and the largest singular value."""
    if stats.too_large is None:
        return ()
    found = [(row.spectrum, min(row.shape)) for row in rows if row.spectrum]
    if not found:
        return None, None
    ranks = [spectrum.effective_rank / full for spectrum, full in found]
    return median(ranks), max(spectrum.singular_values[0] for spectrum, _ in found)


def spectrum_record(row: TensorStats) -> Sequence[Cell]:
    """The cells of a tensor below `TITLES`."""
    if row.spectrum is None:
        return (None,) * len(TITLES)
    values = " ".join(map(repr, row.spectrum.singular_values))
    return row.spectrum.effective_rank, row.spectrum.stable_rank, values


def spectrum_notes(stats: Stats) -> Iterator[str]:
    """How effective rank is defined, and what was too large."""
    if stats.too_large is None:
        return
    yield (
        "Effective rank is exp of the entropy of the singular values (Roy and Vetterli 2007), as a share of full rank; "
        f"of several matrices the median. CSV and JSON have the rank, the stable rank and {TOLD} singular values."
    )
    if stats.too_large:
        names = f"{', '.join(stats.too_large[:3])}{' …' if len(stats.too_large) > 3 else ''}"
        yield f"Too large for a spectrum: {words.plural(len(stats.too_large), 'tensor')} ({names})."
