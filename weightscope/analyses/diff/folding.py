"""Scales that quantizing folds into the weights before a matrix: AWQ and SmoothQuant multiply its columns, and divide
the norm, or the rows of the matrix, that gives its input.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any

from weightscope.analyses.diff.nearness import ALIKE, is_close, is_rounding
from weightscope.analyses.diff.norms import norms_of
from weightscope.analyses.diff.pair import Opened
from weightscope.analyses.diff.result import WeightDiff
from weightscope.roles import Role

if TYPE_CHECKING:
    import numpy as np

# How well the scales of columns follow those before them, as a correlation of logarithms: 0.99 in 4 bits with 32 rows.
FOLLOWS = 0.95
# If so many matrices of a component do not follow a norm, no more of them are read.
TRIED = 3
# A matrix whose rows may be divided, and the one whose columns are multiplied, of the same component.
BEFORE = {"down_proj": "up_proj", "o_proj": "v_proj"}


def folded(a: Opened, b: Opened, changed: Sequence[WeightDiff]) -> frozenset[str]:
    """The addresses of changed norms and matrices that differ by scales which undo each other.

    Only of quantized models, and only where what quantizing alone leaves does not explain all.
    """
    addresses = [value.address for value in changed]
    quantized = {m for m in addresses if a.weights[m].is_quantized or b.weights[m].is_quantized}
    far = {v.address for v in changed if not (is_close(v) if v.address in quantized else is_rounding(v))}
    if not quantized or not far:
        return frozenset()
    models = _Matrices(a, b)
    matrices = [m for m in addresses if len(a.weights[m].shape) == 2 and a.weights[m].layer is not None]
    found: set[str] = set()
    for norm in norms_of(a, changed):
        behind = [m for m in matrices if a.weights[m].layer == norm.layer and a.weights[m].shape[1:] == norm.shape]
        if following := models.behind_norm(norm.address, behind, far):
            found |= {norm.address, f"{norm.address}.bias", *following}
    for address in matrices:
        before = _before(a, address)
        if before in matrices and not far.isdisjoint((address, before)) and models.is_behind(address, before):
            found |= {address, before}
    return frozenset(found.intersection(addresses))


def _before(a: Opened, address: str) -> str:
    """The address of the matrix whose rows give the input of another's columns; empty where there is none."""
    component, _, role = address.rpartition(".")
    before = f"{component}.{BEFORE.get(role, '')}"
    held = a.weights.get(before)
    return before if held is not None and held.shape[:1] == a.weights[address].shape[1:] else ""


class _Matrices:
    """The weights of both models as float64."""

    def __init__(self, a: Opened, b: Opened) -> None:
        self._weights = (a.weights, b.weights)
        self._readers = (a.reader(), b.reader())

    def behind_norm(self, norm: str, matrices: Sequence[str], far: AbstractSet[str]) -> list[str]:
        """Which matrices have columns that are scaled as the norm is, the other way round, and are alike otherwise.

        One tells of the norm; of others, those that are `far` from each other are read as well.
        """
        import numpy as np

        before, after = self._norms(norm)
        if not (before * after > 0).all() or np.ptp(before / after) == 0:
            return []
        found: list[str] = []
        failed: Counter[str] = Counter()
        for address in matrices:
            section = self._weights[0][address].section
            if failed[section] >= TRIED or (found and address not in far):
                continue
            left, right = self._both(address)
            if _follows(_factors(left, right), before / after) and _is_alike(left * (before / after), right):
                found.append(address)
            else:
                failed[section] += 1
        return found

    def is_behind(self, address: str, before: str) -> bool:
        """Whether a matrix has columns that are scaled as the rows of the one before it are, the other way round."""
        import numpy as np

        left, right = self._both(address)
        columns = _factors(left, right)
        rows = _factors(*(matrix.T for matrix in self._both(before)))
        return (
            bool((rows > 0).all() and np.ptp(rows)) and _follows(columns, 1 / rows) and _is_alike(left * columns, right)
        )

    def _norms(self, address: str) -> Iterator[np.ndarray[Any, Any]]:
        """What the norm multiplies by in each model."""
        held = self._weights[0][address]
        added = held.owner.added_to(Role(held.role)) if held.owner else 0.0
        return (weight + added for weight in self._both(address))

    def _both(self, address: str) -> list[np.ndarray[Any, Any]]:
        pairs = zip(self._readers, self._weights, strict=True)
        return [reader.matrix(weights[address]).astype("f8") for reader, weights in pairs]


def _factors(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """By how much each column of A is multiplied to be nearest to B's; 0 for a column of zeros."""
    import numpy as np

    # What is not finite follows nothing.
    with np.errstate(invalid="ignore", over="ignore"):
        squares, products = (a * a).sum(axis=0), (a * b).sum(axis=0)
        factors: np.ndarray[Any, Any] = np.divide(products, squares, out=np.zeros_like(products), where=squares > 0)
    return factors


def _follows(factors: np.ndarray[Any, Any], others: np.ndarray[Any, Any]) -> bool:
    import numpy as np

    if not (factors > 0).all() or not np.ptp(factors):
        return False
    return float(np.corrcoef(np.log(factors), np.log(others))[0, 1]) > FOLLOWS


def _is_alike(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> bool:
    """Whether the rows of two matrices point the same way, however long they are."""
    import numpy as np

    product = (a * b).sum(axis=1) / np.maximum(np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1), 1e-300)
    return float(np.median(product)) >= ALIKE
