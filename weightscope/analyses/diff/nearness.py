"""How far two weights may be apart and still be the same ones, rounded or quantized."""

from __future__ import annotations

from weightscope.analyses.diff.result import WeightDiff

# A quantized weight is no farther from its source: 2 bits leave about 0.3 of the norm and a cosine of 0.95.
QUANTIZED, ALIKE = 0.5, 0.85
# What a few operations in float32 leave.
COMPUTED = 1e-6


def is_rounding(value: WeightDiff) -> bool:
    """Whether computing in float32 and back, or storing in another dtype, explains the difference."""
    return value.equal or value.rounded or (value.relative is not None and value.relative <= COMPUTED)


def is_close(value: WeightDiff) -> bool:
    """Whether quantizing explains it."""
    near = value.relative is not None and value.relative <= QUANTIZED
    return near and value.cosine is not None and value.cosine >= ALIKE
