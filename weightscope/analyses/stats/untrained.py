"""Signs that weights are as random initialization left them: a hint with its evidence, never a verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from weightscope.analyses.stats.result import Stats, TensorStats

# So many matrices with so many values each are enough to tell of all; smaller ones are not looked at.
MATRICES, VALUES = 4, 64
# How far deviations may lie apart, and errors of sampling beyond that: rows of padding are zero.
APART, ERRORS = 0.01, 5.0
# What norms are initialized with: those that add 1 to their weights begin at 0.
FRESH = (0.0, 1.0)


class Untrained(msgspec.Struct, frozen=True, kw_only=True):
    """What initialization looks like: `matrices` with deviations from `low` to `high`, `norms` that all are `norm`."""

    matrices: int
    low: float
    high: float
    norms: int
    norm: float


def untrained(stats: Stats) -> Untrained | None:
    """The signs, if all are there: every norm is 1 (or 0), and every matrix has a mean of 0 and the same deviation."""
    weights = [row for row in stats.tensors if row.kind == "weight" and row.quantization is None]
    norms = [row for row in weights if len(row.shape) == 1 and any("norm" in role for role in row.roles)]
    matrices = [row for row in weights if len(row.shape) > 1 and row.figures.elements >= VALUES]
    fresh = {row.figures.min for row in norms if row.figures.is_constant and row.figures.min in FRESH}
    if not stats.complete or len(matrices) < MATRICES or len(fresh) != 1:
        return None
    if not all(row.figures.is_constant and row.figures.min in fresh for row in norms) or not _of_one_size(matrices):
        return None
    deviations = [row.figures.std or 0.0 for row in matrices]
    return Untrained(
        matrices=len(matrices), low=min(deviations), high=max(deviations), norms=len(norms), norm=fresh.pop() or 0.0
    )


def _of_one_size(matrices: Sequence[TensorStats]) -> bool:
    """Whether the means are 0 and the deviations the same, as far as so many values can tell."""
    usual = sorted(row.figures.std or 0.0 for row in matrices)[len(matrices) // 2]
    for row in matrices:
        figures = row.figures
        if figures.non_finite or figures.mean is None or figures.std is None or not usual:
            return False
        if abs(figures.mean) > usual * ERRORS / math.sqrt(figures.finite):
            return False
        if abs(figures.std - usual) > usual * (APART + ERRORS / math.sqrt(2 * figures.finite)):
            return False
    return True
