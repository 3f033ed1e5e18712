"""Codes packed by planes: the first part of the rows in some bits of each element, the next part in the next bits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightscope.quantization.common.slabs import blank

if TYPE_CHECKING:
    import torch


def unpack_planes(packed: torch.Tensor, bits: int, planes: int, rows: int, *, high_first: bool) -> torch.Tensor:
    """Float32 codes [rows, C] of elements [⌈rows / planes⌉, C]; the first plane has the highest or lowest bits."""
    out = blank((rows, packed.shape[1]), packed.device)
    shifts = [bits * plane for plane in range(planes)]
    for plane, shift in enumerate(shifts[::-1] if high_first else shifts):
        # The last planes may be cut short, or not be there at all.
        part = out[plane * len(packed) : (plane + 1) * len(packed)]
        part.copy_((packed[: len(part)] >> shift) & ((1 << bits) - 1))
    return out
