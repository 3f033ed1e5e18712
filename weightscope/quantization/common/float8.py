"""8-bit floats as float32, alone or times the scale of their block.

Shapes: R rows, C columns of a weight.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from weightscope.pool import empty

if TYPE_CHECKING:
    import torch

# Elements converted at a time: they stay in the cache of one core, and torch starts no threads for so few.
SLAB = 1 << 15
FLOAT8 = frozenset({"float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu"})


def to_float32(weight: torch.Tensor) -> torch.Tensor:
    """The same values in float32, as `weight.float()` gives them; 8-bit floats take a fifth of its time."""
    import torch

    if not _has_table(weight):
        return weight.float()
    out = empty(weight.shape, torch.float32)
    _look_up(weight, out)
    return out


def convert(weight: torch.Tensor, out: torch.Tensor) -> None:
    """Fill a float32 tensor with the values of a weight of any type."""
    if _has_table(weight):
        _look_up(weight, out)
    else:
        out.copy_(weight)


def scaled_by_blocks(weight: torch.Tensor, scale: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """Weight [R, C] times the scale of each block of `rows` × `columns`, in float32.

    `scale` is [⌈R / rows⌉, ⌈C / columns⌉]; the last blocks may be smaller. The result is bit for bit
    `weight.float() * scale`, each scale repeated over its block.

    Raises:
        ValueError: the scales have another shape.
    """
    import torch

    height, width = weight.shape
    if tuple(scale.shape) != (-(-height // rows), -(-width // columns)):
        raise ValueError(
            f"a weight of {list(weight.shape)} in blocks of {rows} × {columns} has scales of {list(scale.shape)}"
        )
    # Only the columns' scales are spread out: a block of rows shares a row of them.
    spread = scale.float().repeat_interleave(columns, dim=1)[:, :width]
    looked_up = _has_table(weight)
    out = empty(weight.shape, torch.float32) if looked_up else torch.empty(weight.shape, device=weight.device)
    step = max(1, SLAB // max(width, 1)) if looked_up else rows
    for block, factors in enumerate(spread):
        end = min((block + 1) * rows, height)
        for start in range(block * rows, end, step):
            stop = min(start + step, end)
            part = out[start:stop]
            if looked_up:
                _look_up(weight[start:stop], part)
            else:
                part.copy_(weight[start:stop])
            part.mul_(factors)
    return out


def _look_up(weight: torch.Tensor, out: torch.Tensor) -> None:
    """Fill `out` with the values of the weight's bytes."""
    import torch

    table, codes, flat = _table(weight.dtype), weight.view(torch.uint8).flatten(), out.view(-1)
    for start in range(0, len(codes), SLAB):
        part = codes[start : start + SLAB].int()
        torch.index_select(table, 0, part, out=flat[start : start + len(part)])


def _has_table(weight: torch.Tensor) -> bool:
    """Whether its values are looked up: 8-bit floats in memory; a GPU converts them fast enough itself."""
    return weight.device.type == "cpu" and str(weight.dtype).removeprefix("torch.") in FLOAT8


@lru_cache(maxsize=len(FLOAT8))
def _table(dtype: torch.dtype) -> torch.Tensor:
    """The float32 value of each of the 256 bytes."""
    import torch

    return torch.arange(256, dtype=torch.uint8).view(dtype).float()
