"""A tensor put together from the parts that tensor-parallel ranks hold of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

from weightscope.checkpoint.dtypes import DTYPE_BITS
from weightscope.checkpoint.entry import Piece, PiecedEntry, TensorEntry
from weightscope.checkpoint.spans import some_rows


def alike(parts: Sequence[TensorEntry], axis: int | None) -> bool:
    """Whether parts agree in their type, and in their shape but for the axis that is split; None is no axis."""
    return len({(part.dtype, _sizes(part, axis)) for part in parts}) == 1


def _sizes(part: TensorEntry, axis: int | None) -> tuple[int, ...]:
    return tuple(size for place, size in enumerate(part.shape) if place != axis)


def joined(parts: Sequence[TensorEntry], axis: int, blocks: int = 1) -> PiecedEntry:
    """The tensor of which each rank holds an equal part along an axis; `parts` are alike, and in the ranks' order.

    With `blocks` of more than one, several matrices are stacked along the first axis, and each rank holds a part of
    each: the gate and up matrices of a gated MLP.
    """
    first = parts[0]
    pieces = tuple(_pieces(parts, axis, blocks))
    shape = tuple(
        sum(part.shape[axis] for part in parts) if at == axis else size for at, size in enumerate(first.shape)
    )
    size = prod(shape) * DTYPE_BITS[first.dtype] // 8
    return PiecedEntry(first.dtype, shape, (0, size), None, first.file, pieces=pieces)


def _pieces(parts: Sequence[TensorEntry], axis: int, blocks: int) -> Iterator[Piece]:
    start = 0
    for block in range(blocks):
        for part in parts:
            rows = part.shape[0] // blocks
            some = some_rows(part, slice(block * rows, (block + 1) * rows)) if blocks > 1 else part
            place = tuple(start if at == axis else 0 for at in range(len(part.shape)))
            yield Piece(place, some.shape, part.file, some.data_offsets, some.strides)
            start += some.shape[axis]
