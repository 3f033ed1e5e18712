"""Which weights of a matrix share a scale: all of them, those of a row, of a group of columns, or of a block.

Shapes: R rows and C columns of a matrix, r and c of its scales; `...` are the experts of a stacked weight.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import TYPE_CHECKING

import msgspec

from weightscope.quantization.common.float8 import convert, scaled_by_blocks
from weightscope.quantization.common.slabs import by_slabs, rows_of
from weightscope.sizes import Shape, Size

if TYPE_CHECKING:
    import torch

# Fills a part [rows, C] with the codes of these rows.
Codes = Callable[[slice, "torch.Tensor"], None]


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

    def scaled(
        self,
        codes: Codes,
        shape: Sequence[int],
        scales: torch.Tensor,
        zeros: torch.Tensor | None = None,
        order: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """(code - zero point) · scale in float32, [..., R, C], made a few rows at a time.

        `codes` fills a part [rows, C] of the result with those of these rows. `order` [C] has the group of each
        column; without it groups are consecutive.

        Raises:
            ValueError: so many scales or zero points do not fit.
        """
        factors = self._by_row(scales, shape)
        offsets = None if zeros is None else self._by_row(zeros, shape)
        columns = shape[-1]

        def of(rows: slice, sides: torch.Tensor) -> torch.Tensor:
            part = sides if len(sides) == 1 else sides[rows]
            if order is not None:
                return part[:, order]
            if self.columns and columns % self.columns:
                return part.repeat_interleave(self.columns, dim=-1)[:, :columns]
            return part

        def fill(rows: slice, out: torch.Tensor) -> None:
            codes(rows, out)
            for sides, subtract in ((offsets, True), (factors, False)):
                if sides is None:
                    continue
                part = of(rows, sides)
                grouped = out if part.shape[-1] in (1, columns) else out.unflatten(-1, (part.shape[-1], -1))  # type: ignore[no-untyped-call]
                part = part if grouped is out else part.unsqueeze(-1)
                grouped.sub_(part) if subtract else grouped.mul_(part)

        return by_slabs(shape, scales.device, fill)

    def multiplied(self, weight: torch.Tensor, scales: torch.Tensor, zeros: torch.Tensor | None = None) -> torch.Tensor:
        """Weight [..., R, C], of any type, less the zero point of each element, times its scale, in float32.

        Raises:
            ValueError: so many scales or zero points do not fit.
        """
        if weight.dim() == 2 and self.rows > 1 and self.columns and zeros is None:
            return scaled_by_blocks(weight, scales, self.rows, self.columns)
        flat = rows_of(weight)
        return self.scaled(lambda rows, out: convert(flat[rows], out), weight.shape, scales, zeros)

    def _by_row(self, sides: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
        """Scales or zero points as those of each row [rows, c], or [1, 1] where there is one for all."""
        *experts, rows, columns = shape
        wanted = (*experts, _count(rows, self.rows), _count(columns, self.columns))
        sides = sides.float()
        if sides.numel() == 1 and not (self.rows or self.columns):
            return sides.reshape(1, 1)
        if sides.numel() != prod(wanted):
            raise ValueError(f"a weight of {list(shape)} with {self.words} has scales of {list(sides.shape)}")
        spread = sides.reshape(wanted)
        if self.rows != 1:
            spread = spread.repeat_interleave(self.rows or rows, dim=-2)[..., :rows, :]
        return rows_of(spread)


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
