"""The values of one stored tensor, or some of its rows, as NumPy or torch: from one span of a file, or from pieces.

Block types of GGUF are given as the float32 numbers that they stand for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import msgspec

from weightscope.checkpoint import mapped, pieces, spans
from weightscope.checkpoint.array_types import need_torch, words_of
from weightscope.checkpoint.dtypes import BLOCKS, DTYPE_BITS
from weightscope.checkpoint.entry import FileHeader, PiecedEntry, TensorEntry, file_numbers, require_here

if TYPE_CHECKING:
    import numpy as np
    import torch

Files = Sequence[FileHeader]


def need_here(files: Files, entry: TensorEntry) -> None:
    """See that the files with the tensor's values are on this machine.

    Raises:
        CheckpointError: one is not; the message says how to have it here.
    """
    require_here(*(files[number].remote for number in file_numbers(entry)))


def type_of(entry: TensorEntry) -> str:
    """The element type of the values as they are given."""
    return "F32" if entry.dtype in BLOCKS else entry.dtype


def read_numpy(files: Files, entry: TensorEntry, index: Any = ...) -> np.ndarray[Any, Any]:
    """The tensor, or `tensor[index]`, read-only and mapped where it lies in one span; see `mapped.read_numpy`."""
    import numpy as np

    if isinstance(entry, PiecedEntry):
        chosen: np.ndarray[Any, Any] = np.asarray(pieces.load_numpy(files, entry)[index])
        chosen.flags.writeable = False
        return chosen
    if entry.dtype in BLOCKS:
        decoded: np.ndarray[Any, Any] = np.asarray(load_numpy(files, entry)[index])
        decoded.flags.writeable = False
        return decoded
    file = files[entry.file]
    return mapped.read_numpy(file.path, file.data_start, entry, index)


def load_numpy(files: Files, entry: TensorEntry, rows: slice | None = None) -> np.ndarray[Any, Any]:
    """The tensor, or consecutive rows of it, read into memory of its own; see `spans.load_numpy`."""
    if isinstance(entry, PiecedEntry):
        return pieces.load_numpy(files, entry, rows)
    if entry.dtype in BLOCKS:
        from weightscope.checkpoint.blocks.spans import load_numpy

        return load_numpy(*_place(files, entry), entry, rows)
    source, data_start = _place(files, entry)
    # Of a view that repeats a few bytes, any rows may be few, and all of them without end.
    spans.check_view(source, entry)
    return spans.load_numpy(source, data_start, entry if rows is None else spans.some_rows(entry, rows))


def read_torch(files: Files, entry: TensorEntry, index: Any = ...) -> torch.Tensor:
    """The tensor, or `tensor[index]`, privately mapped where it lies in one span; see `mapped.read_torch`."""
    if isinstance(entry, PiecedEntry):
        need_torch(", or read values as NumPy")
        return pieces.load_torch(files, entry)[index]
    if entry.dtype in BLOCKS:
        need_torch(", or read values as NumPy")
        return load_torch(files, entry)[index]
    file = files[entry.file]
    return mapped.read_torch(file.path, file.data_start, entry, index)


def load_torch(files: Files, entry: TensorEntry, rows: slice | None = None, *, pinned: bool = False) -> torch.Tensor:
    """The tensor, or consecutive rows of it, read into memory of its own; see `spans.load_torch`."""
    if isinstance(entry, PiecedEntry):
        loaded = pieces.load_torch(files, entry, rows)
        return loaded.pin_memory() if pinned else loaded
    if entry.dtype in BLOCKS:
        from weightscope.checkpoint.blocks.spans import load_torch

        loaded = load_torch(*_place(files, entry), entry, rows)
        return loaded.pin_memory() if pinned else loaded
    return spans.load_torch(*_place(files, entry), entry, rows, pinned=pinned)


def gather_torch(files: Files, entry: TensorEntry, index: torch.Tensor) -> torch.Tensor:
    """The rows of an index of whole numbers; see `spans.gather_torch`."""
    if isinstance(entry, PiecedEntry):
        return pieces.load_torch(files, entry)[index]
    if entry.dtype in BLOCKS:
        from weightscope.checkpoint.blocks.spans import gather_torch

        return gather_torch(*_place(files, entry), entry, index)
    return spans.gather_torch(*_place(files, entry), entry, index)


def read_chunks(files: Files, entry: TensorEntry, chunk: int) -> Iterator[np.ndarray[Any, Any]]:
    """The bytes of the values in row-major order, at most `chunk` at a time, often in the same memory each time.

    Of pieces, of blocks, and of a view that is not contiguous, whole rows come together, however long they are.

    Raises:
        CheckpointError: a file is shorter than its header said.
    """
    if isinstance(entry, PiecedEntry) or entry.strides is not None or entry.dtype in BLOCKS:
        for rows in slabs(entry, chunk):
            yield load_bytes(files, entry, rows)
        return
    source, data_start = _place(files, entry)
    start, stop = entry.data_offsets
    yield from spans.read_bytes(source, data_start + start, data_start + stop, chunk)


def load_bytes(files: Files, entry: TensorEntry, rows: slice | None = None) -> np.ndarray[Any, Any]:
    """The bytes of a tensor's values, or of consecutive rows of them, in row-major order; of any dtype."""
    import numpy as np

    if isinstance(entry, PiecedEntry):
        return pieces.load_words(files, entry, rows).reshape(-1).view(np.uint8)
    if entry.dtype in BLOCKS:
        return load_numpy(files, entry, rows).reshape(-1).view(np.uint8)
    if DTYPE_BITS[entry.dtype] % 8:
        source, data_start = _place(files, entry)
        start, stop = (entry if rows is None else spans.some_rows(entry, rows)).data_offsets
        whole = spans.read_bytes(source, data_start + start, data_start + stop, max(stop - start, 1))
        return next(whole, np.empty(0, dtype=np.uint8))
    words = msgspec.structs.replace(entry, dtype=words_of(entry.dtype))
    return np.ascontiguousarray(load_numpy(files, words, rows)).reshape(-1).view(np.uint8)


def slabs(entry: TensorEntry, chunk: int) -> Iterator[slice | None]:
    """Consecutive rows of a tensor, about `chunk` bytes together and one row at least; None, the whole, of a scalar."""
    if not entry.shape:
        yield None
        return
    rows = max(chunk * 8 // max(prod(entry.shape[1:]) * DTYPE_BITS[type_of(entry)], 1), 1)
    for first in range(0, entry.shape[0], rows):
        yield slice(first, min(first + rows, entry.shape[0]))


def _place(files: Files, entry: TensorEntry) -> tuple[spans.Source, int]:
    file = files[entry.file]
    return file.source, file.data_start
