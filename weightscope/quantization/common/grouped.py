"""Integers with a scale and a zero point for each group of inputs, undone a piece at a time.

Shapes: I inputs, O outputs of a Linear, G groups. Matrices here are (in, out), as GPTQ and AWQ store them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from weightscope.quantization.common.slabs import blank

if TYPE_CHECKING:
    import torch

# Rows that are made at a time: whole words of every width, and few enough to stay in the cache.
STEP = 256

# Fills a piece [stop - start, O] with the codes of the rows from `start` to `stop`.
Fill = Callable[[int, int, "torch.Tensor"], object]


def dequantize(
    fill: Fill, zeros: torch.Tensor, scales: torch.Tensor, rows: int, group: int, index: torch.Tensor | None = None
) -> torch.Tensor:
    """Float32 [I, O]: (code - zero) · scale, both [G, O], of the row's group.

    `index` [I] tells each row's group; without it `group` consecutive rows are one.
    """
    import torch

    scales, zeros = scales.float(), zeros.float()
    out = blank((rows, scales.shape[1]), scales.device)
    for start in range(0, rows, STEP):
        stop = min(start + STEP, rows)
        piece = out[start:stop]
        fill(start, stop, piece)
        if index is not None:
            of: slice | torch.Tensor = index[start:stop].long()
        elif start // group == (stop - 1) // group:
            of = slice(start // group, start // group + 1)
        elif start % group == 0 and (stop - start) % group == 0:
            # Whole groups: each row of scales serves `group` rows.
            many = slice(start // group, stop // group)
            piece.view(-1, group, piece.shape[1]).sub_(zeros[many, None]).mul_(scales[many, None])
            continue
        else:
            of = torch.arange(start, stop, device=out.device) // group
        piece.sub_(zeros[of]).mul_(scales[of])
    return out
