"""The values of a weight in two models: how far they are apart, in float64."""

from __future__ import annotations

import math
from collections.abc import Iterator
from math import prod
from typing import TYPE_CHECKING, Any

import msgspec

from weightscope.analyses.diff.floats import is_float, type_of, units
from weightscope.analyses.diff.result import WeightDiff
from weightscope.analyses.diff.sides import Reader
from weightscope.analyses.held.holdings import Held
from weightscope.checkpoint.dtypes import FLOATS
from weightscope.errors import CheckpointError, NotImplementedByWeightscope

if TYPE_CHECKING:
    import numpy as np


class Sums(msgspec.Struct, frozen=True, kw_only=True):
    """What adds up over the elements of two weights; `apart` counts those that are finite in one of them alone.

    `alike` says that all bytes are the same; `read`, that the numbers are known, and not only that they are equal.
    """

    elements: int = 0
    differing: int = 0
    apart: int = 0
    largest: float = 0.0
    of_difference: float = 0.0
    of_a: float = 0.0
    of_b: float = 0.0
    product: float = 0.0
    rounded: bool = True
    alike: bool = True
    read: bool = True

    def __add__(self, other: Sums) -> Sums:
        added = ("elements", "differing", "apart", "of_difference", "of_a", "of_b", "product")
        return Sums(
            **{name: getattr(self, name) + getattr(other, name) for name in added},
            largest=max(self.largest, other.largest),
            rounded=self.rounded and other.rounded,
            alike=self.alike and other.alike,
            read=self.read and other.read,
        )

    @property
    def relative(self) -> float | None:
        """‖A−B‖/‖A‖; where A is zero, 0 if B is too, and else nothing tells."""
        if self.apart or (self.of_difference and not (self.of_a and self.read)):
            return None
        return math.sqrt(self.of_difference / self.of_a) if self.of_a else 0.0

    @property
    def cosine(self) -> float | None:
        """That of the angle between both; None where one is zero."""
        if self.apart or not self.of_a or not self.of_b or not self.read:
            return None
        return min(1.0, max(-1.0, self.product / math.sqrt(self.of_a) / math.sqrt(self.of_b)))


def compare(a: Reader, held_a: Held, b: Reader, held_b: Held) -> tuple[WeightDiff, Sums]:
    """One weight; where one side has more rows, the rows of both.

    Raises:
        CheckpointError, NotImplementedByWeightscope: a quantized weight cannot be undone, and is stored otherwise in
            the other model.
    """
    both_quantized = held_a.is_quantized and held_b.is_quantized
    try:
        sums = _added_up(a, held_a, b, held_b)
    except (CheckpointError, NotImplementedByWeightscope):
        if not (both_quantized and a.is_stored_like(held_a, b, held_b)):
            raise
        sums = Sums(elements=prod(held_a.shape), read=False)
    alike = sums.alike and held_a.dtype == held_b.dtype
    if alike and (both_quantized or held_a.combined):
        alike = a.is_stored_like(held_a, b, held_b)
    difference = WeightDiff(
        address=held_a.address,
        role=held_a.role or ("activation_scale" if held_a.is_activation_scale else ""),
        component=held_a.section,
        layer=held_a.layer,
        elements=sums.elements,
        differing=sums.differing,
        relative=sums.relative,
        cosine=sums.cosine if sums.differing or sums.cosine is None else 1.0,
        largest=None if sums.apart else sums.largest,
        rounded=bool(sums.differing) and (sums.rounded or _is_of_rounded(held_a, held_b, sums)),
        stored_alike=alike,
    )
    return difference, sums


def _is_of_rounded(a: Held, b: Held, sums: Sums) -> bool:
    """Whether a weight is as far off as the rounding of what it is computed from leaves it."""
    import numpy as np

    if not a.combined or a.dtype == b.dtype or not {a.dtype, b.dtype} <= FLOATS or sums.relative is None:
        return False
    return sums.relative <= max(float(units(np.ones(1), type_of(one))[0]) for one in (a, b))


def _added_up(a: Reader, held_a: Held, b: Reader, held_b: Held) -> Sums:
    sums = Sums()
    for left, right in _together(a.runs(held_a), b.runs(held_b)):
        sums += _sums(left, right, (_stored(held_a, left), _stored(held_b, right)))
    return sums


def _together(
    left: Iterator[np.ndarray[Any, Any]], right: Iterator[np.ndarray[Any, Any]]
) -> Iterator[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]:
    """Both in runs; those of one side alone are left out."""
    for one, other in zip(left, right, strict=False):
        size = min(one.size, other.size)
        yield one[:size], other[:size]


def _stored(held: Held, values: np.ndarray[Any, Any]) -> np.dtype[Any]:
    """The type that numbers were rounded to, which need not be the one that they are read in."""
    return type_of(held) if held.dtype in FLOATS else values.dtype


def _sums(left: np.ndarray[Any, Any], right: np.ndarray[Any, Any], stored: tuple[np.dtype[Any], np.dtype[Any]]) -> Sums:
    import numpy as np

    if left.dtype == right.dtype and np.array_equal(left.view(np.uint8), right.view(np.uint8)):
        squares = _finite(_wide(left))
        of_a = float(np.square(squares, out=squares).sum())
        return Sums(elements=left.size, of_a=of_a, of_b=of_a, product=of_a)
    a, b = _wide(left), _wide(right)
    both_nan = np.isnan(a) & np.isnan(b)
    differing = int(np.count_nonzero((a != b) & ~both_nan))
    # Read as two types, numbers are stored alike but for the sign of a zero; read as one, these bytes differ.
    alike = left.dtype != right.dtype and not differing and np.array_equal(np.signbit(a), np.signbit(b))
    finite = np.isfinite(a) & np.isfinite(b)
    apart = int(np.count_nonzero(~finite & ~both_nan & (a != b)))
    if not finite.all():
        a, b = np.where(finite, a, 0.0), np.where(finite, b, 0.0)
    difference = a - b
    return Sums(
        elements=left.size,
        differing=differing,
        apart=apart,
        largest=float(np.abs(difference).max(initial=0.0)),
        of_difference=float((difference * difference).sum()),
        of_a=float((a * a).sum()),
        of_b=float((b * b).sum()),
        product=float((a * b).sum()),
        rounded=not differing or _is_rounded(a, b, stored),
        alike=alike,
    )


def _wide(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    import numpy as np

    if values.dtype.kind == "c":
        values = values.view(np.float64 if values.dtype.itemsize == 16 else np.float32)
    with np.errstate(invalid="ignore"):
        return values.astype(np.float64)


def _finite(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    import numpy as np

    finite: np.ndarray[Any, Any] = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    return finite


def _is_rounded(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any], stored: tuple[np.dtype[Any], np.dtype[Any]]) -> bool:
    """Whether values of two types of floats are as near as rounding the same numbers to both leaves them."""
    import numpy as np

    if stored[0] == stored[1] or not all(map(is_float, stored)):
        return False
    near = np.abs(a - b) <= (units(a, stored[0]) + units(b, stored[1])) / 2
    return bool(np.all(near | (a == b)))
