"""The numerical rank of a difference: a merged LoRA of rank r changes a matrix by one of rank r, but for rounding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from weightscope.analyses.diff.floats import units

if TYPE_CHECKING:
    import numpy as np

# Ranks above this are not looked for, nor those of more than a quarter of what a matrix could have.
MOST = 256
SHARE = 4
# What rounding leaves is uniform within half a unit in the last place; so much of its energy is still called rounding.
SLACK = 1.5
# Products of float32 matrices, as merging computes them, are off by about this share.
PRODUCT = 1e-6


def is_narrow(shape: tuple[int, ...], rank: int) -> bool:
    """Whether a matrix has too few rows or columns for this rank to be a low one: a router, a head of few classes."""
    return len(shape) == 2 and min(shape) < SHARE * rank


def rank_of(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any], dtype: np.dtype[Any]) -> int | None:
    """The rank of B − A up to rounding of B to a dtype; None where it is not low.

    Singular values come from a random projection (Halko, Martinsson, Tropp 2011), with a fixed seed.
    """
    import numpy as np

    wide = b.astype(np.float64)
    difference = wide - a.astype(np.float64)
    if difference.ndim != 2 or not np.isfinite(difference).all():
        return None
    least = min(difference.shape)
    most = min(MOST, least // SHARE)
    if most < 1:
        return None
    energy = float((difference * difference).sum())
    rounding = SLACK * float(np.square(units(wide, dtype)).sum()) / 12 + PRODUCT**2 * energy
    if energy <= rounding:
        return 0
    rng = np.random.default_rng(0)
    probes = rng.standard_normal((difference.shape[1], min(least, most + 8)))
    basis, _ = np.linalg.qr(difference @ probes)
    singular = np.linalg.svd(basis.T @ difference, compute_uv=False)
    left = energy - np.cumsum(singular * singular)
    enough = np.flatnonzero(left <= rounding)
    rank = int(enough[0]) + 1 if enough.size else None
    return rank if rank is not None and rank <= most else None
