"""A weight made a few rows at a time, so that what lies between its codes and its values stays in the cache."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import TYPE_CHECKING

from weightscope.pool import empty

if TYPE_CHECKING:
    import torch

# Weights made at a time: as float32 they are 256 kB.
SLAB = 1 << 16


def blank(shape: Sequence[int], device: torch.device) -> torch.Tensor:
    """A float32 tensor with anything in it; in memory, from the pool of the pass."""
    import torch

    if device.type == "cpu":
        return empty(shape, torch.float32)
    return torch.empty(*shape, dtype=torch.float32, device=device)


def by_slabs(shape: Sequence[int], device: torch.device, fill: Callable[[slice, torch.Tensor], None]) -> torch.Tensor:
    """A float32 tensor of that shape; `fill` is given rows and the part [rows, columns] of it to be filled.

    Rows are those of the tensor with all dimensions but the last made one. A GPU gets them all at once.
    """
    out = blank(shape, device)
    rows, columns = prod(shape[:-1]), shape[-1]
    flat = out.view(rows, columns)
    step = max(1, SLAB // max(columns, 1)) if device.type == "cpu" else max(rows, 1)
    for start in range(0, rows, step):
        fill(slice(start, start + step), flat[start : start + step])
    return out


def rows_of(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor [..., C] as [rows, C]."""
    return tensor.reshape(-1, tensor.shape[-1])
