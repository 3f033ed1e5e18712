"""Which weights of a matrix share a scale: all of them, those of a row, of a group of columns, or of a block.

Shapes: R rows and C columns of a matrix, r and c of its scales; `...` are the experts of a stacked weight.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import msgspec

from weightscope.quantization.common.float8 import scaled_by_blocks, to_float32
from weightscope.sizes import Shape, Size

if TYPE_CHECKING:
    import torch


class Grain(msgspec.Struct, frozen=True):
    """Blocks of `rows` × `columns` weights share a scale; 0 stands for all rows, or all columns."""

    rows: int = 0
    columns: int = 0

    @property
    def words(self) -> str:
        """Its name, for people."""
        if not self.columns:
            return "one scale for each row" if self.rows == 1 else "one scale"
        return f"groups of {self.columns}" if self.rows == 1 else f"blocks of {self.rows} × {self.columns}"

    @property
    def whose(self) -> str:
        """Whose scale a weight has, as the end of a formula."""
        if not self.columns:
            return " of its row" if self.rows == 1 else ""
        return " of its group" if self.rows == 1 else " of its block"

    @property
    def rowwise(self) -> bool:
        """Whether no row shares a scale with some others and not with all."""
        return self.rows in (0, 1)

    def shape(self, weight: Shape) -> Shape:
        """The shape of the scales; of a matrix with one scale, one element."""
        *experts, rows, columns = weight
        if not (self.rows or self.columns or experts):
            return (Size(1),)
        return (*experts, _blocks(rows, self.rows), _blocks(columns, self.columns))

    def other_shapes(self, weight: Shape) -> tuple[Shape, ...]:
        """Shapes that mean the same: without the dimensions of one element."""
        full = self.shape(weight)
        if self.columns:
            return ()
        if len(full) == 1:
            return ((), (Size(1), Size(1)))
        return (full[:-1],) if self.rows else (full[:-1], full[:-2], *(((Size(1),), ()) if len(full) > 2 else ()))

    def multiplied(self, weight: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
        """Weight [..., R, C], of any type, times the scale of each element, in float32.

        Raises:
            ValueError: so many scales do not fit.
        """
        if weight.dim() == 2 and self.rows > 1 and self.columns:
            return scaled_by_blocks(weight, scales, self.rows, self.columns)
        values = to_float32(weight)
        # A float32 weight is the file's own memory, which is not ours to change.
        values = values.clone() if values is weight else values
        parts, factors = self._together(values, scales)
        parts.mul_(factors)
        return values

    def less(self, values: torch.Tensor, zeros: torch.Tensor) -> torch.Tensor:
        """Values [..., R, C] less the zero point of each, in place.

        Raises:
            ValueError: so many zero points do not fit.
        """
        parts, sides = self._together(values, zeros)
        parts.sub_(sides)
        return values

    def _together(self, values: torch.Tensor, sides: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """A view of the values, and what of `sides` goes with each, so that they broadcast."""
        *experts, rows, columns = values.shape
        shape = (*experts, _count(rows, self.rows), _count(columns, self.columns))
        sides = sides.float()
        if sides.numel() == 1 and not (self.rows or self.columns):
            return values, sides.reshape(())
        if sides.numel() != prod(shape):
            raise ValueError(f"a weight of {list(values.shape)} with {self.words} has scales of {list(sides.shape)}")
        spread = sides.reshape(shape)
        if self.rows > 1:
            spread = spread.repeat_interleave(self.rows, dim=-2)[..., :rows, :]
        if self.columns and columns % self.columns:
            return values, spread.repeat_interleave(self.columns, dim=-1)[..., :columns]
        if self.columns:
            return values.unflatten(-1, (-1, self.columns)), spread.unsqueeze(-1)  # type: ignore[no-untyped-call]
        return values, spread


def _blocks(size: Size, block: int) -> Size:
    if block == 1:
        return size
    count = _count(size, block)
    if not block:
        return Size(count)
    text = f"{size.factor}/{block}" if size % block == 0 else f"⌈{size.factor}/{block}⌉"
    return Size(count, text, size.keys)


def _count(size: int, block: int) -> int:
    return -(-size // block) if block else 1
