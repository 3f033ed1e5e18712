"""Add up values chunk by chunk: types of up to 16 bits by counting each bit pattern, others in float64.

To count the patterns of bfloat16 takes 2 ns a value and gives every figure exactly; arithmetic takes several passes.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol

from weightscope.analyses.stats.figures import (
    BINS,
    FLOAT8_UNDERFLOW,
    FLOAT16_OVERFLOW,
    LOWEST,
    Counts,
    Moments,
    Sums,
)

if TYPE_CHECKING:
    import numpy as np

# Values that stay in the cache of a core while all is computed of them.
AT_ONCE = 1 << 16
# A tensor of fewer values takes less time by arithmetic than the table of all patterns does.
FEW = 1 << 16


class Tally(Protocol):
    """What values are added to."""

    def add(self, values: np.ndarray[Any, Any]) -> int:
        """One chunk, flat, in the tensor's own type; how many of it are zero."""
        ...

    @property
    def sums(self) -> Sums:
        """All that was added."""
        ...


def tally_of(dtype: np.dtype[Any], elements: int) -> Tally:
    """The quickest way for so many values of a type."""
    narrow = dtype.itemsize == 1 or (dtype.itemsize == 2 and elements > FEW)
    return Patterns(dtype) if narrow else Arithmetic(dtype)


class Patterns:
    """How often each bit pattern comes."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        import numpy as np

        self._dtype = dtype
        self._bits = np.dtype(f"<u{dtype.itemsize}")
        self._size = 1 << (8 * dtype.itemsize)
        self._counts = np.zeros(self._size, dtype=np.int64)
        every = np.arange(self._size).astype(self._bits).view(dtype)
        self._zeros = np.flatnonzero(in_float64(every) == 0)

    def add(self, values: np.ndarray[Any, Any]) -> int:
        """Count those of a chunk."""
        import numpy as np

        counts = np.bincount(values.view(self._bits), minlength=self._size)
        self._counts += counts
        return int(counts[self._zeros].sum())

    @property
    def sums(self) -> Sums:
        """The figures of each pattern's number, as often as it came."""
        import numpy as np

        there = np.flatnonzero(self._counts)
        numbers = in_float64(there.astype(self._bits).view(self._dtype))
        return _summed(numbers, self._counts[there], least_normal(self._dtype))


class Arithmetic:
    """Each value as float64; a complex one is two."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._least = least_normal(dtype)
        self._sums = Sums()

    def add(self, values: np.ndarray[Any, Any]) -> int:
        """A piece at a time, which stays in the cache."""
        before = self._sums.counts.zeros
        for start in range(0, values.size, AT_ONCE):
            self._sums += _summed(in_float64(values[start : start + AT_ONCE]), None, self._least)
        return self._sums.counts.zeros - before

    @property
    def sums(self) -> Sums:
        """All that was added."""
        return self._sums


def in_float64(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Real numbers as float64; of complex ones the real and the imaginary parts, in turn."""
    import numpy as np

    if values.dtype.kind == "c":
        values = values.view(np.float32 if values.dtype.itemsize == 8 else np.float64)
    # ml_dtypes goes by way of float32, which holds all of its numbers; the FPU need not remark on their NaN.
    with np.errstate(invalid="ignore"):
        return values.astype(np.float64)


def least_normal(dtype: np.dtype[Any]) -> float:
    """The least normal number of a type; 0 of integers, which have no subnormal ones."""
    if dtype.kind in "biu":
        return 0.0
    import ml_dtypes

    return float(ml_dtypes.finfo(dtype).smallest_normal)  # type: ignore[no-untyped-call]


def _summed(numbers: np.ndarray[Any, Any], times: np.ndarray[Any, Any] | None, least: float) -> Sums:
    """The sums of float64 numbers, each of which comes so many `times`, or once."""
    import numpy as np

    with np.errstate(over="ignore", invalid="ignore"):
        finite = np.isfinite(numbers)
        elements = numbers.size if times is None else int(times.sum())
        nan = positive = negative = 0
        if not finite.all():
            nan, positive = _count(np.isnan(numbers), times), _count(numbers == math.inf, times)
            negative = elements - nan - positive - _count(finite, times)
            numbers, times = numbers[finite], None if times is None else times[finite]
        if not numbers.size:
            return Sums(
                counts=Counts(elements=elements, nan=nan, positive_infinite=positive, negative_infinite=negative)
            )
        sizes = np.abs(numbers)
        zeros = _count(sizes == 0, times)
        counts = Counts(
            elements=elements,
            nan=nan,
            positive_infinite=positive,
            negative_infinite=negative,
            zeros=zeros,
            subnormal=_count(sizes < least, times) - zeros if least else 0,
            float8_underflow=_count(sizes <= FLOAT8_UNDERFLOW, times) - zeros,
            float16_overflow=_count(sizes >= FLOAT16_OVERFLOW, times),
            magnitudes=_magnitudes(sizes, times),
        )
        return Sums(counts=counts, moments=_moments(numbers, times))


def _count(which: np.ndarray[Any, Any], times: np.ndarray[Any, Any] | None) -> int:
    """How many values are of a kind."""
    import numpy as np

    return int(np.count_nonzero(which) if times is None else times[which].sum())


def _magnitudes(sizes: np.ndarray[Any, Any], times: np.ndarray[Any, Any] | None) -> tuple[int, ...]:
    """Counts by powers of two: the exponent of a float64 is 11 of its bits, biased by 1023."""
    import numpy as np

    places = (sizes.view(np.int64) >> 52) - (1023 + LOWEST)
    there = sizes > 0
    chosen = np.clip(places[there], 0, BINS - 1)
    weights = None if times is None else times[there]
    return tuple(int(count) for count in np.bincount(chosen, weights, minlength=BINS))


def _moments(numbers: np.ndarray[Any, Any], times: np.ndarray[Any, Any] | None) -> Moments:
    count = numbers.size if times is None else int(times.sum())
    mean = float((numbers if times is None else numbers * times).sum() / count)
    from_mean = numbers - mean
    distances, squares = from_mean * from_mean, numbers * numbers
    if times is not None:
        distances, squares = distances * times, squares * times
    return Moments(
        count=count,
        low=float(numbers.min()),
        high=float(numbers.max()),
        mean=mean,
        squares=float(squares.sum()),
        distances=float(distances.sum()),
    )
