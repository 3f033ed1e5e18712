"""Norms that changed by a convention: 1 was added to their weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from weightscope.analyses.diff.floats import type_of, units
from weightscope.analyses.diff.pair import Opened
from weightscope.analyses.diff.result import WeightDiff
from weightscope.analyses.held.holdings import Held
from weightscope.checkpoint.dtypes import FLOATS


def offset_norms(a: Opened, b: Opened, changed: Sequence[WeightDiff]) -> dict[str, float]:
    """The addresses of changed norms of which every weight differs by 1 but for rounding: 1 where B's are larger."""
    left, right = a.reader(), b.reader()
    found = {}
    for held in norms_of(a, changed):
        other = b.weights[held.address]
        before, after = left.matrix(held).astype("f8"), right.matrix(other).astype("f8")
        if held.dtype not in FLOATS or other.dtype not in FLOATS or before.shape != after.shape:
            continue
        step = round(float((after - before).mean()))
        rounding = units(before, type_of(held)) + units(after, type_of(other))
        if abs(step) == 1 and (abs(after - before - step) <= rounding).all():
            found[held.address] = float(step)
    return found


def norms_of(a: Opened, changed: Sequence[WeightDiff]) -> Iterator[Held]:
    """Weights of norms, without their biases."""
    for value in changed:
        held = a.weights[value.address]
        if len(held.shape) == 1 and "norm" in held.role and held.key == held.role and held.shape[0]:
            yield held
