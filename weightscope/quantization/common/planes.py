"""Codes packed by planes: the first part of the rows in some bits of each element, the next part in the next bits."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def unpack_planes(packed: torch.Tensor, bits: int, planes: int, rows: int, *, high_first: bool) -> torch.Tensor:
    """Codes [rows, C] of elements [⌈rows / planes⌉, C]; the first plane is in the highest bits, or in the lowest."""
    import torch

    shifts = [bits * plane for plane in range(planes)]
    mask = (1 << bits) - 1
    return torch.cat([(packed >> shift) & mask for shift in (shifts[::-1] if high_first else shifts)])[:rows]
