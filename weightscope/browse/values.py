"""The values of one tensor, a few rows at a time: figures, and the corner at the beginning."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from threading import Event
from typing import Any

import msgspec

from weightscope.analyses.stats.figures import Figures, Sums
from weightscope.analyses.stats.reading import Source, chunks, parts_of
from weightscope.analyses.stats.sources import weight_of
from weightscope.analyses.stats.tally import Tally, tally_of
from weightscope.browse.nodes import Listed
from weightscope.checkpoint.array_types import need_torch
from weightscope.checkpoint.dtypes import BLOCKS, DTYPE_BITS
from weightscope.checkpoint.reader import Checkpoint
from weightscope.checkpoint.values import need_here
from weightscope.errors import NotImplementedByWeightscope, UsageError
from weightscope.output.document import Cell

# Rows and columns of the corner.
CORNER = 8
# Weights that are read at once where a method or type is undone only as a whole; as float32 they take 2 GB.
MOST_WEIGHTS = 1 << 29


class Values(msgspec.Struct, frozen=True, kw_only=True):
    """What was read. `scheme` says how a quantized weight was undone; it is empty where values are as stored.

    `corner` are the first values of the first rows, of three and more dimensions those of the first matrix.
    """

    shape: tuple[int, ...]
    scheme: str
    figures: Figures
    corner: tuple[tuple[Cell, ...], ...]


def read_values(
    checkpoint: Checkpoint, listed: Listed, progress: Callable[[float], None], stop: Event
) -> Values | None:
    """All values of a tensor, a quantized weight as it acts; None once `stop` is set.

    `progress` is called with the share that was read. At most a few megabytes are held at a time, but of methods that
    undo a tensor only as a whole.

    Raises:
        WeightscopeError: there are no weights here, they cannot be dequantized, or take too much memory.
    """
    source = _source(checkpoint, listed)
    total = max(1, listed.group.packing[0] if source.scheme else prod(source.entry.shape))
    tally: Tally | None = None
    corner: list[tuple[Cell, ...]] = []
    done = rows = 0
    shape = source.entry.shape
    for part in parts_of(source):
        for chunk in chunks(checkpoint, source, part):
            if stop.is_set():
                return None
            tally = tally or tally_of(chunk.dtype, source.bytes)
            tally.add(chunk.reshape(-1))
            if len(corner) < CORNER:
                corner += _corner(chunk)[: CORNER - len(corner)]
            if source.scheme:
                rows += chunk.shape[0] if chunk.ndim else 0
                shape = (rows, *chunk.shape[1:])
            done += chunk.size
            progress(min(1.0, done / total))
    return Values(
        shape=shape,
        scheme=source.scheme.words if source.scheme else "",
        figures=(tally.sums if tally else Sums()).figures,
        corner=_of_one_matrix(corner, shape),
    )


def _source(checkpoint: Checkpoint, listed: Listed) -> Source:
    name, scheme = listed.row.name, listed.group.scheme
    entry = checkpoint.tensors.get(name)
    if entry is None:
        raise UsageError("no values here: this is a config or an index without weights")
    need_here(checkpoint.files, entry)
    weight = weight_of(name, scheme) if scheme else None
    if scheme is None or weight is None or weight.packed != name:
        source, weights = Source(name=name, entry=entry), prod(entry.shape)
        undone = entry.dtype in BLOCKS or DTYPE_BITS[entry.dtype] < 8
    else:
        need_torch(" to undo the quantization")
        source, weights = Source(name=name, entry=entry, scheme=scheme, weight=weight.name), listed.group.packing[0]
        undone = True
    if undone and source.is_whole and weights > MOST_WEIGHTS:
        kind = source.scheme.name if source.scheme else entry.dtype
        raise NotImplementedByWeightscope(
            f"{kind} is undone only as a whole, and {weights:,} weights are too many", hint="use weightscope stats"
        )
    return source


def _of_one_matrix(rows: list[tuple[Cell, ...]], shape: tuple[int, ...]) -> tuple[tuple[Cell, ...], ...]:
    """The rows of the first matrix; a vector, whose values came one a row, as one row."""
    if len(shape) < 2:
        return (tuple(cell for row in rows for cell in row),)
    return tuple(rows[: shape[-2]])


def _corner(chunk: Any) -> list[tuple[Cell, ...]]:
    """The first values of the first rows of a chunk."""
    matrix = chunk.reshape(-1, chunk.shape[-1]) if chunk.ndim else chunk.reshape(1, 1)
    rows = matrix[:CORNER, :CORNER]
    return [tuple(str(value) if rows.dtype.kind == "c" else float(value) for value in row) for row in rows]
