"""The values of a tensor that lies in one span of a file, or some rows of them, read into memory of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from weightscope.checkpoint.array_types import numpy_dtype, torch_type
from weightscope.checkpoint.dtypes import DTYPE_BITS
from weightscope.checkpoint.entry import TensorEntry
from weightscope.errors import CheckpointError, Where
from weightscope.pool import empty

if TYPE_CHECKING:
    import numpy as np
    import torch

    from weightscope.checkpoint.streamed import Streamed

    # Where bytes are read: a file here, or one elsewhere that may be read over the network.
    Source = Path | Streamed


class Reader(Protocol):
    """What bytes are read from, one after another."""

    def seek(self, at: int, /) -> object:
        """Go to a byte."""
        ...

    def readinto(self, view: memoryview, /) -> int | None:
        """Fill some of a buffer; how many bytes."""
        ...


# A view may show its storage's bytes again and again: so many times, unless all of it takes less than this.
MAX_REPEATS = 8
SMALL_VIEW = 1 << 26


def shaped(raw: np.ndarray[Any, Any], dtype: np.dtype[Any], entry: TensorEntry) -> np.ndarray[Any, Any]:
    """A tensor of its bytes, by its strides where it has some."""
    import numpy as np

    bits = DTYPE_BITS[entry.dtype]
    flat = _unpack(raw, bits).view(dtype) if bits < 8 else raw.view(dtype)
    if entry.strides is None:
        return flat.reshape(entry.shape)
    steps = tuple(stride * dtype.itemsize for stride in entry.strides)
    return np.lib.stride_tricks.as_strided(flat, entry.shape, steps, writeable=False)


def named(source: Source) -> Where:
    """How a message names it."""
    return source if isinstance(source, Path) else source.where


def check_view(source: Source, entry: TensorEntry) -> None:
    """See that a view's values are not far more than what is stored of them.

    Raises:
        CheckpointError: `malformed-header`.
    """
    start, stop = entry.data_offsets
    size = prod(entry.shape) * DTYPE_BITS[entry.dtype] // 8
    if size > max(MAX_REPEATS * (stop - start), SMALL_VIEW):
        raise CheckpointError(
            f"a tensor of {entry.dtype} {list(entry.shape)} has {size:,} bytes of values, "
            f"repeated from {stop - start:,} stored bytes",
            where=named(source),
            hint="call contiguous() on it and save again",
            code="malformed-header",
        )


def read_bytes(source: Source, start: int, stop: int, chunk: int) -> Iterator[np.ndarray[Any, Any]]:
    """The bytes of a file from start to stop, at most `chunk` at a time, each time in the same memory.

    Raises:
        CheckpointError: the file is shorter.
    """
    import numpy as np

    buffer = np.empty(min(chunk, stop - start), dtype=np.uint8)
    try:
        with _opened(source) as file:
            file.seek(start)
            for at in range(start, stop, chunk):
                part = buffer[: min(chunk, stop - at)]
                _fill(memoryview(part.data), file, source)
                yield part
    except OSError as error:
        raise unreadable(named(source), start, stop, error) from None


def _opened(source: Source) -> AbstractContextManager[Reader]:
    """To read from it."""
    return source.open("rb", buffering=0) if isinstance(source, Path) else nullcontext(source.reader())


def load_numpy(source: Source, data_start: int, entry: TensorEntry) -> np.ndarray[Any, Any]:
    """The tensor, read into memory of its own; as `read_numpy` otherwise."""
    import numpy as np

    check_view(source, entry)
    start, stop = entry.data_offsets
    whole = read_bytes(source, data_start + start, data_start + stop, max(stop - start, 1))
    raw = next(whole, np.empty(0, dtype=np.uint8))
    return shaped(raw, numpy_dtype(entry.dtype, named(source)), entry)


def load_torch(
    source: Source, data_start: int, entry: TensorEntry, rows: slice | None = None, *, pinned: bool = False
) -> torch.Tensor:
    """The tensor, or consecutive rows of it, read into memory of its own; `pinned` for a copy to a GPU.

    Raises:
        NotImplementedByWeightscope: torch has no such dtype.
        CheckpointError: the file is shorter than its header said.
    """
    import torch

    check_view(source, entry)
    entry = entry if rows is None else some_rows(entry, rows)
    dtype, shape = torch_type(named(source), entry)
    start, stop = entry.data_offsets
    size = stop - start
    raw = torch.empty(size, dtype=torch.uint8, pin_memory=True) if pinned else empty((size,), torch.uint8)
    try:
        with _opened(source) as file:
            file.seek(data_start + start)
            _fill(memoryview(raw.numpy().data), file, source)
    except OSError as error:
        raise unreadable(named(source), data_start + start, data_start + stop, error) from None
    flat = raw.view(dtype)
    return flat.reshape(shape) if entry.strides is None else flat.as_strided(shape, entry.strides)


def gather_torch(source: Source, data_start: int, entry: TensorEntry, index: torch.Tensor) -> torch.Tensor:
    """The rows of an index of whole numbers, read one by one into memory of their own.

    Raises:
        NotImplementedByWeightscope: torch has no such dtype.
        CheckpointError: the file is shorter than its header said.
        IndexError: there is no such row.
    """
    import torch

    if entry.strides is not None or not entry.shape or not entry.shape[0]:
        return load_torch(source, data_start, entry)[index]
    dtype, shape = torch_type(named(source), entry)
    count = entry.shape[0]
    numbers = index.flatten().tolist()
    if any(not -count <= number < count for number in numbers):
        raise IndexError(f"no such row among {count:,}")
    start, stop = entry.data_offsets
    width = (stop - start) // count
    raw = torch.empty(len(numbers) * width, dtype=torch.uint8)
    view = memoryview(raw.numpy().data)
    try:
        with _opened(source) as file:
            for place, number in enumerate(numbers):
                file.seek(data_start + start + number % count * width)
                _fill(view[place * width : (place + 1) * width], file, source)
    except OSError as error:
        raise unreadable(named(source), data_start + start, data_start + stop, error) from None
    return raw.view(dtype).reshape((*index.shape, *shape[1:]))


def some_rows(entry: TensorEntry, rows: slice) -> TensorEntry:
    """The entry of consecutive rows; the strides of a view stay, its bytes end with its last element."""
    count = entry.shape[0]
    first, last, _ = rows.indices(count)
    start, stop = entry.data_offsets
    shape = (max(last - first, 0), *entry.shape[1:])
    if entry.strides is not None:
        width = DTYPE_BITS[entry.dtype] // 8
        start += first * entry.strides[0] * width
        reach = sum((size - 1) * stride for size, stride in zip(shape, entry.strides, strict=True)) + 1
        return TensorEntry(entry.dtype, shape, (start, start + reach * width if prod(shape) else start), entry.strides)
    width = (stop - start) // count if count else 0
    return TensorEntry(entry.dtype, shape, (start + first * width, start + max(last, first) * width))


def _fill(view: memoryview, file: Reader, source: Source) -> None:
    """Read until the buffer is full: one call gives no more than 2 GiB."""
    done = 0
    while done < len(view):
        count = file.readinto(view[done:])
        if not count:
            raise CheckpointError(
                f"ends {len(view) - done:,} bytes early",
                where=named(source),
                hint="the file may have changed since it was opened",
                code="truncated-file",
            )
        done += count


def unreadable(where: Where, start: int, stop: int, error: Exception) -> CheckpointError:
    """The error of bytes that the system does not give."""
    return CheckpointError(
        f"bytes {start:,} to {stop:,} cannot be read ({error})",
        where=where,
        hint="the file may have changed since it was opened",
        code="truncated-file",
    )


def _unpack(raw: np.ndarray[Any, Any], bits: int) -> np.ndarray[Any, Any]:
    """One byte an element from a stream packed lowest bits first."""
    import numpy as np

    stream = np.unpackbits(raw, bitorder="little").reshape(-1, bits)
    return np.packbits(stream, axis=1, bitorder="little")[:, 0]
