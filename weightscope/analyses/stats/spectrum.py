"""The largest singular values of a matrix, its effective rank and its stable rank.

The eigenvalues of the smaller of WᵀW and WWᵀ, in float64, are the squares of W's singular values.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from threading import Event
from typing import TYPE_CHECKING, Any

import msgspec

from weightscope.analyses.stats.looked import Looked
from weightscope.analyses.stats.reading import Part, chunks
from weightscope.checkpoint.dtypes import BLOCKS
from weightscope.checkpoint.reader import Checkpoint, Progress

if TYPE_CHECKING:
    import numpy as np

# Matrices with a larger smaller side are left out: the product takes 210 MB at this size, and twice for a moment.
MOST = 5120
# Of a matrix with fewer rows than columns, all rows are kept; with more bytes, it is left out.
KEPT = 1 << 29
# Rows or columns that are multiplied at once.
AT_ONCE = 1024
# The power of two that has an inverse in float64.
LEAST = -1000
# So many of the largest singular values are told.
TOLD = 8


class Spectrum(msgspec.Struct, frozen=True, kw_only=True):
    """Singular values σ of a matrix W.

    Attributes:
        effective_rank: exp of the entropy of σ/Σσ (Roy and Vetterli 2007); 0 of a matrix of zeros.
        stable_rank: ‖W‖F²/‖W‖₂²; 0 of a matrix of zeros.
        singular_values: the largest, in falling order.
    """

    effective_rank: float
    stable_rank: float
    singular_values: tuple[float, ...]


def spectra(
    checkpoint: Checkpoint, matrices: Sequence[Looked], progress: Progress | None, stop: Event
) -> dict[str, Spectrum]:
    """The spectrum of each matrix by its name, one after another, until `stop` is set: each product takes all cores.

    `progress` is called with bytes.
    """
    found: dict[str, Spectrum] = {}
    done, total = 0, sum(one.known.source.bytes for one in matrices)
    for one in matrices:
        if stop.is_set():
            break
        if progress:
            progress(done, total, one.name)
        found[one.name] = spectrum_of(checkpoint, one)
        done += one.known.source.bytes
    return found


def has_spectrum(one: Looked) -> bool:
    """Whether it is a weight with two dimensions, some elements, and real, finite numbers that are no codes."""
    known, figures = one.known, one.figures
    is_packed = known.group.scheme is not None and known.source.scheme is None
    is_real = not known.source.entry.dtype.startswith("C")
    whole = figures.elements > 0 and not figures.non_finite and not one.error
    return known.is_weight and len(one.shape) == 2 and whole and is_real and not is_packed


def is_too_large(one: Looked) -> bool:
    """Whether the matrix would take too much memory."""
    rows, columns = one.shape
    source = one.known.source
    # What is dequantized comes as float32.
    width = 4 if source.scheme or source.entry.dtype in BLOCKS else source.bytes // (rows * columns)
    return min(rows, columns) > MOST or (rows < columns and rows * columns * width > KEPT)


def spectrum_of(checkpoint: Checkpoint, one: Looked) -> Spectrum:
    """The spectrum of a matrix that `has_spectrum` and is not too large.

    Raises:
        CheckpointError: the file is shorter than it was.
    """
    import numpy as np

    # A power of two changes no digit, and squares of what is left are in the range of float64.
    exponent = max(math.frexp(one.figures.absmax or 1.0)[1], LEAST)
    side = min(one.shape)
    product = np.zeros((side, side))
    for block in _blocks(checkpoint, one):
        scaled = block.astype(np.float64)
        scaled *= math.ldexp(1.0, -exponent)
        product += scaled.T @ scaled
    squares = np.linalg.eigvalsh(product)[::-1]
    # Smaller ones are what rounding leaves.
    squares = np.where(squares > side * np.finfo(np.float64).eps * squares[0], squares, 0.0)
    singular = np.sqrt(squares)
    return Spectrum(
        effective_rank=_effective_rank(singular),
        stable_rank=float(squares.sum() / squares[0]) if squares[0] else 0.0,
        singular_values=tuple(float(value) for value in np.ldexp(singular[:TOLD], exponent)),
    )


def _effective_rank(singular: np.ndarray[Any, Any]) -> float:
    import numpy as np

    there = singular[singular > 0]
    if not there.size:
        return 0.0
    shares = there / there.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def _blocks(checkpoint: Checkpoint, one: Looked) -> Iterator[np.ndarray[Any, Any]]:
    """The matrix, some rows at a time; if it has fewer rows than columns, its transpose."""
    import numpy as np

    source = one.known.source
    rows, columns = one.shape
    height = AT_ONCE if rows >= columns else rows
    block: np.ndarray[Any, Any] | None = None
    filled = 0
    for chunk in chunks(checkpoint, source, Part(rows=slice(0, source.rows), bytes=source.bytes)):
        left = chunk.reshape(-1, columns)
        while len(left):
            block = np.empty((height, columns), left.dtype) if block is None else block
            fits = left[: height - filled]
            block[filled : filled + len(fits)] = fits
            filled, left = filled + len(fits), left[len(fits) :]
            if filled == height:
                yield from [block] if rows >= columns else _turned(block)
                filled = 0
    if filled and block is not None:
        yield block[:filled]


def _turned(matrix: np.ndarray[Any, Any]) -> Iterator[np.ndarray[Any, Any]]:
    for first in range(0, matrix.shape[1], AT_ONCE):
        yield matrix[:, first : first + AT_ONCE].T
