"""Integers with a scale and a zero point for each group of inputs, undone a piece at a time.

Shapes: I inputs, O outputs of a Linear, G groups. Matrices here are (in, out), as GPTQ and AWQ store them.
"""

from __future__ import annotations

from collections.abc import Callable
from math import gcd
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

# Rows of codes that are unpacked at a time: whole words of every width, and few enough to stay in the cache.
STEP = 128
WORD = 32

# The codes of the rows from `start` to `stop`, [stop - start, O].
Codes = Callable[[int, int], "torch.Tensor"]


def dequantize(
    codes: Codes, zeros: torch.Tensor, scales: torch.Tensor, rows: int, group: int, index: torch.Tensor | None = None
) -> torch.Tensor:
    """Float32 [I, O]: (code - zero) · scale, both [G, O], of the row's group.

    `index` [I] tells each row's group; without it `group` consecutive rows are one.
    """
    import torch

    scales, zeros = scales.float(), zeros.float()
    out = torch.empty((rows, scales.shape[1]), dtype=torch.float32, device=scales.device)
    # Within one group, the same row of scales serves all.
    step = gcd(group, STEP) if index is None and gcd(group, STEP) % WORD == 0 else STEP
    if index is None and step == STEP and group % STEP:
        index = torch.arange(rows, device=scales.device) // group
    for start in range(0, rows, step):
        stop = min(start + step, rows)
        piece = out[start:stop]
        piece.copy_(codes(start, stop))
        of = slice(start // group, start // group + 1) if index is None else index[start:stop].long()
        piece.sub_(zeros[of]).mul_(scales[of])
    return out
