"""Norms that changed by a convention: 1 added to their weights, or scales of quantization folded into them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weightscope.analyses.diff.floats import units
from weightscope.analyses.diff.pair import Opened
from weightscope.analyses.diff.result import WeightDiff
from weightscope.analyses.held.holdings import FLOATS, Held
from weightscope.checkpoint.spans import numpy_dtype
from weightscope.roles import Role

if TYPE_CHECKING:
    import numpy as np

# How well the scales of columns follow those of the norm, as a correlation of logarithms: 0.99 in 4 bits with 32 rows.
FOLLOWS = 0.95


def offset_norms(a: Opened, b: Opened, changed: Sequence[WeightDiff]) -> dict[str, float]:
    """The addresses of changed norms of which every weight differs by 1 but for rounding: 1 where B's are larger."""
    left, right = a.reader(), b.reader()
    found = {}
    for held in _norms(a, changed):
        other = b.weights[held.address]
        before, after = left.matrix(held).astype("f8"), right.matrix(other).astype("f8")
        if held.dtype not in FLOATS or other.dtype not in FLOATS or before.shape != after.shape:
            continue
        step = round(float((after - before).mean()))
        rounding = units(before, _type(held)) + units(after, _type(other))
        if abs(step) == 1 and (abs(after - before - step) <= rounding).all():
            found[held.address] = float(step)
    return found


def folded_norms(a: Opened, b: Opened, changed: Sequence[WeightDiff]) -> frozenset[str]:
    """The addresses of changed norms whose scales are undone by the columns of a quantized matrix behind them.

    AWQ and SmoothQuant divide a norm by what they multiply the columns of the next matrices with.
    """
    weights = a.weights
    matrices = [value.address for value in changed if _is_quantized_matrix(a, b, value.address)]
    found: set[str] = set()
    for held in _norms(a, changed) if matrices else ():
        behind = [
            address
            for address in matrices
            if weights[address].layer == held.layer and weights[address].shape[1:] == held.shape
        ]
        if any(_follow(a, b, held, behind)):
            found |= {held.address, f"{held.address}.bias"}
    return frozenset(found & {value.address for value in changed})


def _norms(a: Opened, changed: Sequence[WeightDiff]) -> Iterator[Held]:
    """Weights of norms, without their biases."""
    for value in changed:
        held = a.weights[value.address]
        if len(held.shape) == 1 and "norm" in held.role and held.key == held.role and held.shape[0]:
            yield held


def _type(held: Held) -> np.dtype[Any]:
    return numpy_dtype(held.dtype, Path())


def _is_quantized_matrix(a: Opened, b: Opened, address: str) -> bool:
    held, other = a.weights[address], b.weights[address]
    return len(held.shape) == 2 and held.layer is not None and (held.is_quantized or other.is_quantized)


def _follow(a: Opened, b: Opened, norm: Held, behind: Sequence[str]) -> Iterator[bool]:
    """Whether the columns of each matrix are scaled as the norm is, the other way round."""
    import numpy as np

    left, right = a.reader(), b.reader()
    before, after = _scale(left.matrix(norm), norm), _scale(right.matrix(b.weights[norm.address]), norm)
    if not (before * after > 0).all() or np.ptp(before / after) == 0:
        return
    for address in behind:
        columns = _columns(left.matrix(a.weights[address]), right.matrix(b.weights[address]))
        if (columns > 0).all():
            yield float(np.corrcoef(np.log(columns), np.log(before / after))[0, 1]) > FOLLOWS


def _scale(weight: np.ndarray[Any, Any], norm: Held) -> np.ndarray[Any, Any]:
    """What the norm multiplies by, in float64."""
    scale: np.ndarray[Any, Any] = weight.astype("f8") + (norm.owner.added_to(Role(norm.role)) if norm.owner else 0.0)
    return scale


def _columns(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """By how much each column of A is multiplied to be nearest to B's; 0 for a column of zeros."""
    import numpy as np

    wide = a.astype("f8")
    squares = (wide * wide).sum(axis=0)
    products = (wide * b.astype("f8")).sum(axis=0)
    factors: np.ndarray[Any, Any] = np.divide(products, squares, out=np.zeros_like(products), where=squares > 0)
    return factors
