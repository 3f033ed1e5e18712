"""A tensor that lies in several places: whether its pieces make it whole, and its values put together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import groupby
from math import prod
from typing import TYPE_CHECKING, Any

import msgspec

from weightscope.checkpoint import spans
from weightscope.checkpoint.array_types import numpy_dtype, torch_type, words_of
from weightscope.checkpoint.entry import FileHeader, Piece, PiecedEntry, TensorEntry
from weightscope.checkpoint.slices import Bytes, LocalFile, Window
from weightscope.errors import CheckpointError

if TYPE_CHECKING:
    import numpy as np
    import torch

Box = tuple[tuple[int, ...], tuple[int, ...]]


def fill(shape: tuple[int, ...], pieces: Iterable[Piece]) -> bool:
    """Whether the pieces hold each element of a tensor once: as runs of the flattened one, or as blocks.

    Blocks must be had by cutting the tensor from side to side, and the parts again, as all that split tensors do.
    """
    boxes = [(piece.start, piece.shape) for piece in pieces if prod(piece.shape)]
    if boxes and all(len(start) == 1 for start, _ in boxes):
        shape = (prod(shape),)
    if any(len(start) != len(shape) or len(size) != len(shape) for start, size in boxes):
        return False
    return _fill((0,) * len(shape), shape, boxes, 0)


def _fill(start: tuple[int, ...], shape: tuple[int, ...], boxes: list[Box], axis: int) -> bool:
    """Whether boxes fill a region that is cut along `axis` first."""
    if not prod(shape):
        return not boxes
    if axis == len(shape):
        return boxes == [(start, shape)]
    end = start[axis]
    boxes.sort(key=lambda box: (box[0][axis], box[1][axis]))
    for (first, size), layer in groupby(boxes, key=lambda box: (box[0][axis], box[1][axis])):
        if first != end:
            return False
        part = (*start[:axis], first, *start[axis + 1 :]), (*shape[:axis], size, *shape[axis + 1 :])
        if not _fill(*part, list(layer), axis + 1):
            return False
        end = first + size
    return end == start[axis] + shape[axis]


def load_numpy(files: Sequence[FileHeader], entry: PiecedEntry, rows: slice | None = None) -> np.ndarray[Any, Any]:
    """The tensor, or consecutive rows of it, in memory of its own.

    Raises:
        CheckpointError: a file is shorter than it was, or a piece is not what was said of it.
        NotImplementedByWeightscope: NumPy has no such dtype.
    """
    return load_words(files, entry, rows).view(numpy_dtype(entry.dtype, files[entry.file].path))


def load_torch(files: Sequence[FileHeader], entry: PiecedEntry, rows: slice | None = None) -> torch.Tensor:
    """The same for torch.

    Raises:
        CheckpointError: a file is shorter than it was, or a piece is not what was said of it.
        NotImplementedByWeightscope: torch has no such dtype.
    """
    import torch

    loaded = load_words(files, entry, rows)
    dtype, _ = torch_type(files[entry.file].path, entry)
    return torch.from_numpy(loaded.reshape(-1).view("u1")).view(dtype).reshape(loaded.shape)


def load_words(files: Sequence[FileHeader], entry: PiecedEntry, rows: slice | None = None) -> np.ndarray[Any, Any]:
    """The same, each element as an unsigned integer of its width.

    Raises:
        CheckpointError: a file is shorter than it was, or a piece is not what was said of it.
    """
    import numpy as np

    first, last, _ = (rows or slice(None)).indices(entry.shape[0]) if entry.shape else (0, 1, 1)
    shape = (max(last - first, 0), *entry.shape[1:]) if entry.shape else ()
    whole = np.empty(shape, numpy_dtype(words_of(entry.dtype), files[entry.file].path))
    for piece in entry.pieces:
        flat = len(piece.start) == 1
        # Of a run, the unit is an element; of a block, a row.
        unit = prod(entry.shape[1:]) if flat else 1
        begin = max(piece.start[0], first * unit)
        end = min(piece.start[0] + piece.shape[0], last * unit)
        if begin >= end or not prod(piece.shape):
            continue
        block = _block(files[piece.file], entry, piece, slice(begin - piece.start[0], end - piece.start[0]))
        place = slice(begin - first * unit, end - first * unit)
        beside = [slice(at, at + size) for at, size in zip(piece.start[1:], piece.shape[1:], strict=True)]
        if flat:
            whole.reshape(-1)[place] = block
        else:
            whole[(place, *beside)] = block
    return whole


def _block(file: FileHeader, entry: PiecedEntry, piece: Piece, rows: slice) -> np.ndarray[Any, Any]:
    words = words_of(entry.dtype)
    lies = TensorEntry(words, piece.shape, piece.data_offsets, piece.strides)
    if piece.saved:
        lies = msgspec.structs.replace(_opened(file, entry, piece), dtype=words)
    return spans.load_numpy(file.source, file.data_start, spans.some_rows(lies, rows))


def _bytes_of(file: FileHeader) -> AbstractContextManager[Bytes]:
    return nullcontext(file.streamed) if file.streamed else LocalFile(file.path)


def _opened(file: FileHeader, entry: PiecedEntry, piece: Piece) -> TensorEntry:
    """Where the values of a block lie that torch.save wrote as an archive of its own."""
    from weightscope.checkpoint.pytorch import pytorch_header
    from weightscope.checkpoint.pytorch_weights import LONE

    start, stop = piece.data_offsets
    with _bytes_of(file) as whole:
        if stop > len(whole):
            raise CheckpointError(
                f"ends before its byte {stop:,}", where=file.where, hint="copy it again", code="truncated-file"
            )
        header = pytorch_header(Window(whole, start, stop), file.path, remote=file.remote)
    found = header.tensors.get(LONE)
    if found is None or (found.dtype, found.shape or (1,)) != (entry.dtype, piece.shape):
        what = f"{found.dtype} {list(found.shape)}" if found else "no single tensor"
        raise CheckpointError(
            f"its bytes {start:,} to {stop:,} hold {what}, not {entry.dtype} {list(piece.shape)}",
            where=file.where,
            hint="the file is of another save than what describes it",
            code="malformed-header",
        )
    low, high = found.data_offsets
    return TensorEntry(found.dtype, piece.shape, (start + low, start + high), found.strides or None)
