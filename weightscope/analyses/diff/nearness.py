"""How far two weights may be apart and still be the same ones, rounded or quantized."""

from __future__ import annotations

import math

from weightscope.analyses.diff.result import WeightDiff

# A quantized weight is no farther from its source: 2 bits leave about 0.3 of the norm and a cosine of 0.95.
QUANTIZED, ALIKE = 0.5, 0.85
# Of a quantized weight that is a multiple of its source as well, the cosine alone tells.
FOLLOWS = 0.95
# What a few operations in float32 leave.
COMPUTED = 1e-6


def is_rounding(value: WeightDiff) -> bool:
    """Whether computing in float32 and back, or storing in another dtype, explains the difference."""
    return value.equal or value.rounded or (value.relative is not None and value.relative <= COMPUTED)


def is_close(value: WeightDiff) -> bool:
    """Whether quantizing explains it."""
    near = value.relative is not None and value.relative <= QUANTIZED
    return near and value.cosine is not None and value.cosine >= ALIKE


def is_turned_little(value: WeightDiff) -> bool:
    """Whether quantizing a multiple explains it: what a config multiplies may be multiplied into the weights."""
    return value.cosine is not None and value.cosine >= FOLLOWS


def apart_of(value: WeightDiff) -> float:
    """How far quantizing left a weight, of its norm; of a multiple, as far as it was turned."""
    relative = value.relative or 0.0
    if value.cosine is None or relative <= QUANTIZED:
        return relative
    return min(relative, math.sqrt(1.0 - value.cosine**2))
