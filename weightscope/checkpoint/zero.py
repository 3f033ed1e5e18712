"""How DeepSpeed's ZeRO cuts parameters into flat vectors, undone: each parameter as runs of the ranks' vectors.

In stages 1 and 2 the ranks' vectors of a parameter group, one behind the other, are its flattened parameters. In
stage 3 each parameter is cut into equal runs, one a rank; the last is padded. Source: deepspeed/utils/zero_to_fp32.py
(0.19).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod

import msgspec

from weightscope.checkpoint.dtypes import DTYPE_BITS
from weightscope.checkpoint.entry import Piece, PiecedEntry, TensorEntry
from weightscope.checkpoint.pieces import fill

Shapes = Mapping[str, tuple[int, ...]]
# The file number of a vector whose file is not here.
ABSENT = -1


class Cut(msgspec.Struct, frozen=True):
    """The parameters that the vectors fill, those that they do not, and the elements that no parameter has."""

    tensors: dict[str, TensorEntry]
    left: list[str]
    spare: int


def by_group(
    groups: Sequence[Shapes], ranks: Sequence[Sequence[TensorEntry]], paddings: Sequence[Sequence[int]]
) -> Cut:
    """Stages 1 and 2: `ranks` have a vector for each group; `paddings` the elements behind each parameter, if any."""
    found: dict[str, TensorEntry] = {}
    left: list[str] = []
    spare = 0
    for number, shapes in enumerate(groups):
        vectors = [rank[number] for rank in ranks if number < len(rank)]
        behind = paddings[number] if number < len(paddings) else ()
        begin = 0
        for place, (name, shape) in enumerate(shapes.items()):
            count = prod(shape)
            _add(found, left, name, shape, tuple(_runs(vectors, begin, count, 0)))
            begin += count + (behind[place] if place < len(behind) else 0)
        # Vectors are rounded up to twice the number of ranks, as DeepSpeed has it, and not to more.
        spare += max(sum(_count(vector) for vector in vectors) - begin - 2 * len(ranks), 0)
    return Cut(found, left, spare)


def by_parameter(groups: Sequence[Shapes], ranks: Sequence[Sequence[TensorEntry]]) -> Cut:
    """Stage 3: `ranks` have vectors that hold their run of each parameter, one behind the other."""
    found: dict[str, TensorEntry] = {}
    left: list[str] = []
    begin = 0
    for name, shape in ((name, shape) for shapes in groups for name, shape in shapes.items()):
        count = prod(shape)
        run = -(-count // len(ranks))
        pieces = [
            piece
            for number, vectors in enumerate(ranks)
            for piece in _runs(vectors, begin, max(min(run, count - number * run), 0), number * run)
        ]
        _add(found, left, name, shape, tuple(pieces))
        begin += run
    spare = max((sum(map(_count, vectors)) - begin for vectors in ranks), default=0)
    return Cut(found, left, max(spare, 0))


def _count(vector: TensorEntry) -> int:
    return vector.shape[0] if vector.shape else 1


def _runs(vectors: Sequence[TensorEntry], begin: int, count: int, at: int) -> Iterator[Piece]:
    """The pieces of a tensor from its element `at` on: elements `begin` to `begin + count` of the joined vectors."""
    end, first = begin + count, 0
    for vector in vectors:
        last = first + _count(vector)
        low, high = max(begin, first), min(end, last)
        if low < high:
            width = DTYPE_BITS[vector.dtype] // 8
            start = vector.data_offsets[0] + (low - first) * width
            place = start, start + (high - low) * width
            yield Piece((at + low - begin,), (high - low,), vector.file, place)
        first = last


def _add(
    found: dict[str, TensorEntry], left: list[str], name: str, shape: tuple[int, ...], pieces: tuple[Piece, ...]
) -> None:
    if any(piece.file == ABSENT for piece in pieces) or not fill(shape, pieces):
        left.append(name)
        return
    found[name] = PiecedEntry.of("F32", shape, pieces)
