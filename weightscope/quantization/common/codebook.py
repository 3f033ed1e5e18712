"""Codes of 4 bits looked up in a table of 16 values, times the scale of their block, two codes at a time.

Shapes: N bytes, B blocks of `block` codes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightscope.quantization.common.bits import nibbles
from weightscope.quantization.common.slabs import blank

if TYPE_CHECKING:
    import torch

# Bytes looked up at a time: what comes of them stays in the cache.
SLAB = 1 << 15


def look_up(
    codes: torch.Tensor,
    values: torch.Tensor,
    scales: torch.Tensor,
    block: int,
    *,
    high_first: bool,
    less: torch.Tensor | None = None,
    plus: torch.Tensor | None = None,
) -> torch.Tensor:
    """Float32 [2N]: the one of `values` [16] for each code in bytes [N], times the one of `scales` [B] of its block.

    `less` [B] is taken from the values before, `plus` [B] added after. `block` is even; the last may be shorter.
    """
    import torch

    pairs = nibbles(torch.arange(256, dtype=torch.uint8, device=codes.device)[:, None], high_first=high_first)
    # Two float32 side by side are one number of 64 bits, which is gathered faster than a row of two.
    table = values.float()[pairs.int()].contiguous().view(torch.int64).flatten()
    out = blank((2 * len(codes),), codes.device)
    wide, scales = out.view(torch.int64), scales.float()
    half = block // 2
    step = max(SLAB // half, 1) * half
    for start in range(0, len(codes), step):
        piece = codes[start : start + step]
        torch.index_select(table, 0, piece.int(), out=wide[start : start + len(piece)])
        whole = len(piece) // half
        first, end = start // half, 2 * (start + whole * half)
        _scale(out[2 * start : end].view(whole, block), slice(first, first + whole), scales, less, plus)
        if whole * half < len(piece):
            rest = out[end : 2 * (start + len(piece))].view(1, -1)
            _scale(rest, slice(first + whole, first + whole + 1), scales, less, plus)
    return out


def _scale(
    values: torch.Tensor, of: slice, scales: torch.Tensor, less: torch.Tensor | None, plus: torch.Tensor | None
) -> None:
    """Values of some blocks, one a row, in place."""
    if less is not None:
        values.sub_(less[of, None])
    values.mul_(scales[of, None])
    if plus is not None:
        values.add_(plus[of, None])
