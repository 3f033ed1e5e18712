"""Weights that are one another times a number: what a config multiplies may be multiplied into them (muP's scales)."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from weightscope.analyses.diff.floats import type_of, units
from weightscope.analyses.diff.pair import Opened
from weightscope.analyses.diff.result import WeightDiff
from weightscope.checkpoint.dtypes import FLOATS

# Of so many numbers none are a multiple of others by accident.
LEAST = 8
# Rounding to bfloat16 turns a weight by less than this, as 1 less the cosine.
TURNED = 1e-5


def multiples(a: Opened, b: Opened, changed: Sequence[WeightDiff]) -> dict[str, float]:
    """The addresses of changed weights of which B's are A's times one number but for rounding, with that number."""
    left, right = a.reader(), b.reader()
    found = {}
    for value in changed:
        held, other = a.weights[value.address], b.weights[value.address]
        if not _may_be(value) or prod(held.shape) < LEAST or not {held.dtype, other.dtype} <= FLOATS:
            continue
        before, after = (side.matrix(one).astype("f8").reshape(-1) for side, one in ((left, held), (right, other)))
        factor = float((before * after).sum() / (before * before).sum())
        expected = before * factor
        rounding = units(expected, type_of(held)) + units(after, type_of(other))
        if factor > 0 and (abs(after - expected) <= rounding).all():
            found[value.address] = factor
    return found


def _may_be(value: WeightDiff) -> bool:
    return value.cosine is not None and 1.0 - value.cosine <= TURNED
