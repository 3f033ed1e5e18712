"""A tensor put together from the parts that tensor-parallel ranks hold of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

import msgspec

from weightscope.checkpoint.dtypes import DTYPE_BITS
from weightscope.checkpoint.entry import Piece, PiecedEntry, TensorEntry
from weightscope.checkpoint.spans import some_rows


class Split(msgspec.Struct, frozen=True, kw_only=True):
    """How ranks' parts make a tensor: along an axis, or each is the whole (None).

    With `blocks` of more than one, as many matrices of equal size are stacked along the first axis, and each rank has
    a part of each: the gate and up matrices of a gated MLP. `widths` says the sizes of such parts, by matrix and rank.
    """

    axis: int | None = None
    blocks: int = 1
    widths: tuple[tuple[int, ...], ...] = ()


def _alike(parts: Sequence[TensorEntry], axis: int | None) -> bool:
    """Whether parts agree in their type, and in their shape but for the axis that is split; None is no axis."""
    return len({(part.dtype, _sizes(part, axis)) for part in parts}) == 1


def _sizes(part: TensorEntry, axis: int | None) -> tuple[int, ...]:
    return tuple(size for place, size in enumerate(part.shape) if place != axis)


def fits(parts: Sequence[TensorEntry], split: Split) -> bool:
    """Whether parts go together that way."""
    axis = split.axis
    if not _alike(parts, axis) or (axis is not None and axis >= len(parts[0].shape)):
        return False
    if split.widths:
        wanted = [sum(each[rank] for each in split.widths) for rank in range(len(parts))]
        return wanted == [part.shape[0] for part in parts]
    return axis is None or all(part.shape[axis] % split.blocks == 0 for part in parts)


def put_together(parts: Sequence[TensorEntry], split: Split) -> TensorEntry:
    """The tensor of which each rank has a part; `parts` fit, and are in the ranks' order."""
    first, axis = parts[0], split.axis
    if axis is None or len(parts) == 1:
        return first
    pieces = tuple(_pieces(parts, axis, _widths(parts, axis, split)))
    shape = tuple(
        sum(part.shape[axis] for part in parts) if at == axis else size for at, size in enumerate(first.shape)
    )
    return PiecedEntry.of(first.dtype, shape, pieces)


def _widths(parts: Sequence[TensorEntry], axis: int, split: Split) -> Sequence[Sequence[int]]:
    return split.widths or [[part.shape[axis] // split.blocks for part in parts]] * split.blocks


def _pieces(parts: Sequence[TensorEntry], axis: int, widths: Sequence[Sequence[int]]) -> Iterator[Piece]:
    start, taken = 0, [0] * len(parts)
    for block in widths:
        for rank, (part, width) in enumerate(zip(parts, block, strict=True)):
            for piece in _blocks_of(part):
                inside = _between(piece, part.dtype, axis, taken[rank], width)
                if inside is not None:
                    place = tuple(
                        begin + (start - taken[rank] if at == axis else 0) for at, begin in enumerate(inside.start)
                    )
                    yield msgspec.structs.replace(inside, start=place)
            start += width
            taken[rank] += width


def _between(piece: Piece, dtype: str, axis: int, first: int, width: int) -> Piece | None:
    """What of a block lies between `first` and `first + width` of an axis; only the first one is ever cut."""
    begin, end = piece.start[axis], piece.start[axis] + piece.shape[axis]
    low, high = max(begin, first), min(end, first + width)
    if (low, high) == (begin, end):
        return piece
    if low >= high:
        return None
    lies = TensorEntry(dtype, piece.shape, piece.data_offsets, piece.strides)
    some = some_rows(lies, slice(low - begin, high - begin))
    return Piece((low, *piece.start[1:]), some.shape, piece.file, some.data_offsets, some.strides)


def _blocks_of(part: TensorEntry) -> Iterator[Piece]:
    """A rank's part as blocks; runs of its flattened form are cut into such."""
    if not isinstance(part, PiecedEntry):
        yield Piece((0,) * len(part.shape), part.shape, part.file, part.data_offsets, part.strides)
        return
    width = DTYPE_BITS[part.dtype] // 8
    for piece in part.pieces:
        if len(piece.start) == len(part.shape):
            yield piece
            continue
        at = piece.data_offsets[0]
        for start, shape in _boxes(piece.start[0], piece.shape[0], part.shape):
            size = prod(shape) * width
            yield Piece(start, shape, piece.file, (at, at + size))
            at += size


def _boxes(start: int, count: int, shape: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """The blocks, as (start, shape) in order, that `count` elements of a flattened tensor from `start` on are."""
    row = prod(shape[1:])
    if len(shape) == 1:
        yield (start,), (count,)
        return
    while count:
        first, within = divmod(start, row)
        whole = 0 if within else count // row
        if whole:
            taken = whole * row
            yield (first, *(0 for _ in shape[1:])), (whole, *shape[1:])
        else:
            taken = min(count, row - within)
            for begin, size in _boxes(within, taken, shape[1:]):
                yield (first, *begin), (1, *size)
        start, count = start + taken, count - taken
