"""The figures of some values, as NumPy would compute them in float64, and how those of several tensors become one."""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec

# Magnitudes are counted by powers of two: below 2^(LOWEST+1), …, from 2^HIGHEST on.
LOWEST, HIGHEST = -24, 15
BINS = HIGHEST - LOWEST + 1
# From here on a value is rounded to infinity in float16.
FLOAT16_OVERFLOW = 65520.0
# Up to here it is rounded to zero in float8_e4m3fn, whose least value is 2^-9.
FLOAT8_UNDERFLOW = 2.0**-10


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """How many values are of a kind.

    Attributes:
        elements: all of them.
        nan: NaN.
        positive_infinite: infinity.
        negative_infinite: minus infinity.
        zeros: zeros of either sign.
        subnormal: smaller than the least normal number of their dtype.
        float16_overflow: finite, and infinite in float16.
        float8_underflow: other than zero, and zero in float8_e4m3fn.
        magnitudes: finite values other than zero by powers of two, from 2^-24 to 2^15; the first and the last count
            what is beyond as well.
    """

    elements: int = 0
    nan: int = 0
    positive_infinite: int = 0
    negative_infinite: int = 0
    zeros: int = 0
    subnormal: int = 0
    float16_overflow: int = 0
    float8_underflow: int = 0
    magnitudes: tuple[int, ...] = (0,) * BINS

    @property
    def finite(self) -> int:
        """How many are finite."""
        return self.elements - self.non_finite

    @property
    def non_finite(self) -> int:
        """How many are NaN or infinite."""
        return self.nan + self.positive_infinite + self.negative_infinite

    def __add__(self, other: Counts) -> Counts:
        fields = {name: getattr(self, name) + getattr(other, name) for name in self.__struct_fields__[:-1]}
        together = tuple(a + b for a, b in zip(self.magnitudes, other.magnitudes, strict=True))
        return Counts(**fields, magnitudes=together)


class Moments(msgspec.Struct, frozen=True, kw_only=True):
    """Of `count` finite values: the extremes, the mean, the sum of squares, and that of the distances to the mean."""

    count: int = 0
    low: float = math.inf
    high: float = -math.inf
    mean: float = 0.0
    squares: float = 0.0
    distances: float = 0.0

    def __add__(self, other: Moments) -> Moments:
        """Those of both together (Chan, Golub, LeVeque 1979), without the loss of a difference of large sums."""
        if not self.count or not other.count:
            return self if self.count else other
        count, apart = self.count + other.count, other.mean - self.mean
        return Moments(
            count=count,
            low=min(self.low, other.low),
            high=max(self.high, other.high),
            mean=self.mean + apart * (other.count / count),
            squares=self.squares + other.squares,
            distances=self.distances + other.distances + apart * apart * (self.count / count) * other.count,
        )


class Figures(Counts, frozen=True, kw_only=True):
    """The counts, and figures of the finite values; None where none is finite, or a figure is too large for float64.

    Attributes:
        min: the least value.
        max: the largest value.
        absmax: the largest magnitude.
        mean: the mean.
        std: the standard deviation, of all values and not of a sample.
        l2: the square root of the sum of squares.
    """

    min: float | None = None
    max: float | None = None
    absmax: float | None = None
    mean: float | None = None
    std: float | None = None
    l2: float | None = None

    @property
    def rms(self) -> float | None:
        """The root mean square of the finite values."""
        return None if self.l2 is None else self.l2 / math.sqrt(self.finite)

    @property
    def is_constant(self) -> bool:
        """Whether there are several values, and all are the same number."""
        return self.elements > 1 and not self.non_finite and self.min == self.max

    @classmethod
    def of(cls, counts: Counts, moments: Moments) -> Figures:
        """From what was added up."""
        counted = {name: getattr(counts, name) for name in Counts.__struct_fields__}
        if not moments.count:
            return cls(**counted)
        if moments.low == moments.high:
            # Sums of one number are rounded; the number is not.
            moments = msgspec.structs.replace(moments, mean=moments.low, distances=0.0)
        return cls(
            **counted,
            min=_told(moments.low),
            max=_told(moments.high),
            absmax=_told(max(abs(moments.low), abs(moments.high))),
            mean=_told(moments.mean),
            std=_told(math.sqrt(moments.distances / moments.count)),
            l2=_told(math.sqrt(moments.squares)),
        )


class Sums(msgspec.Struct, frozen=True, kw_only=True):
    """Counts and moments of some values, which add up."""

    counts: Counts = Counts()
    moments: Moments = Moments()

    def __add__(self, other: Sums) -> Sums:
        return Sums(counts=self.counts + other.counts, moments=self.moments + other.moments)

    @property
    def figures(self) -> Figures:
        """What they come to."""
        return Figures.of(self.counts, self.moments)


def together(sums: Iterable[Sums]) -> Figures:
    """The figures of several tensors as if they were one."""
    whole = Sums()
    for one in sums:
        whole += one
    return whole.figures


def _told(number: float) -> float | None:
    return number if math.isfinite(number) else None
