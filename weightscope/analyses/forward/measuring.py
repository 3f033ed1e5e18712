"""What is measured of the outputs of a pass: extremes, norms, and sums with random signs."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import torch

# Numbers in a fingerprint: each is a sum over all elements with signs of its own, scaled to the size of one element.
MARKS = 8
# Elements that are measured at a time: as float32 they stay in the cache of a core.
PIECE = 1 << 18


class Measures(NamedTuple):
    """Of one output [T, D]: its extremes, its norm, how far apart the sums of its rows are, and its fingerprint."""

    low: float
    high: float
    norm: float
    spread: float
    fingerprint: tuple[float, ...]


def measure(outputs: torch.Tensor) -> list[Measures]:
    """Of each of the outputs [S, T, D]; where one is NaN or infinite, its numbers are as well."""
    import torch

    count, length, width = outputs.shape
    columns, rows = _signs(width, 0, outputs), _signs(length, 1, outputs)
    read = [_read(piece, columns) for piece in torch.split(outputs, max(PIECE // max(count * width, 1), 1), dim=1)]
    lows, highs, norms, sums = (torch.cat(parts, dim=1) for parts in zip(*read, strict=True))
    norm = torch.linalg.vector_norm(norms, dim=1)
    if norm.isinf().any():
        # The squares are beyond float32, the values need not be.
        norm = torch.linalg.vector_norm(outputs.flatten(1), dim=1, dtype=torch.float64)
    spread = (sums.amax(1) - sums.amin(1)).amax(1)
    fingerprints = (sums.mT * rows).sum(-1) / math.sqrt(max(length * width, 1))
    numbers = (x.tolist() for x in (lows.amin(1), highs.amax(1), norm, spread))
    return [
        Measures(low, high, norm, spread, tuple(marks))
        for low, high, norm, spread, marks in zip(*numbers, fingerprints.tolist(), strict=True)
    ]


def _read(piece: torch.Tensor, columns: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Extremes [S, 1] and norms [S, 1] of some rows [S, t, D] of outputs, and each row's sums [S, t, MARKS]."""
    import torch

    wide = piece.to(columns.dtype)
    flat = wide.flatten(1)
    extremes = flat.amin(1, keepdim=True), flat.amax(1, keepdim=True)
    return *extremes, torch.linalg.vector_norm(flat, dim=1, keepdim=True), torch.nn.functional.linear(wide, columns)


def _signs(length: int, axis: int, like: torch.Tensor) -> torch.Tensor:
    """Those of an axis, on the device of an output and in a type that is wide enough to sum it."""
    import torch

    return random_signs(length, axis).to(like.device, torch.promote_types(like.dtype, torch.float32))


@lru_cache(maxsize=16)
def random_signs(length: int, axis: int) -> torch.Tensor:
    """±1 [MARKS, length], the same on every machine and with every version of every library: splitmix64's bits."""
    import numpy as np
    import torch

    with np.errstate(over="ignore"):
        word = (2 * np.arange(length, dtype=np.uint64) + np.uint64(axis + 1)) * np.uint64(0x9E3779B97F4A7C15)
        word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    bits = ((word ^ (word >> np.uint64(31))) >> np.uint64(32)) >> np.arange(MARKS, dtype=np.uint64)[:, None]
    return torch.from_numpy((bits & np.uint64(1)).astype(np.float32) * 2 - 1)
