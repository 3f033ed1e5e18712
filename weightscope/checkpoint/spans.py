"""The values of a tensor that lies in one span of a file, or a slice of them, as NumPy or torch.

What the analyses use is read into memory. What the Python objects give away is mapped, so that a row of a large tensor
costs a row; a file that is cut short while such a mapping is used ends the process, as the system has it.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from weightscope.checkpoint.dtypes import DTYPE_BITS, TORCH_NAMES
from weightscope.checkpoint.entry import TensorEntry
from weightscope.errors import CheckpointError, NotImplementedByWeightscope, WeightscopeError, Where
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


# dtype name -> the attribute of numpy or, failing that, of ml_dtypes. Sub-byte types take a byte an element there.
_NUMPY = {
    "BOOL": "bool_",
    "U8": "uint8",
    "I8": "int8",
    "U16": "uint16",
    "I16": "int16",
    "U32": "uint32",
    "I32": "int32",
    "U64": "uint64",
    "I64": "int64",
    "F16": "float16",
    "F32": "float32",
    "F64": "float64",
    "C64": "complex64",
    "C128": "complex128",
    "BF16": "bfloat16",
    "F8_E5M2": "float8_e5m2",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E8M0": "float8_e8m0fnu",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
    "F4": "float4_e2m1fn",
    "F6_E2M3": "float6_e2m3fn",
    "F6_E3M2": "float6_e3m2fn",
}
_TORCH = {name: attribute for attribute, name in TORCH_NAMES.items() if attribute not in ("half", "float", "double")}


# A view may show its storage's bytes again and again: so many times, unless all of it takes less than this.
MAX_REPEATS = 8
SMALL_VIEW = 1 << 26


def read_numpy(path: Path, data_start: int, entry: TensorEntry, index: Any = ...) -> np.ndarray[Any, Any]:
    """The tensor, or `tensor[index]`, read-only; only the pages that hold it are read.

    Elements narrower than a byte are unpacked, and so read whole.

    Raises:
        NotImplementedByWeightscope: NumPy has no such dtype.
        CheckpointError: the file is shorter than its header said, or the tensor repeats a few bytes without measure.
    """
    import numpy as np

    check_view(path, entry)
    dtype = numpy_dtype(entry.dtype, path)
    raw = np.frombuffer(_bytes(path, data_start, entry, writable=False), dtype=np.uint8)
    array = _shaped(raw, dtype, entry)
    # One element comes as a scalar, which has no flags to set.
    chosen = np.asarray(array[index])
    chosen.flags.writeable = False
    return chosen


def _shaped(raw: np.ndarray[Any, Any], dtype: np.dtype[Any], entry: TensorEntry) -> np.ndarray[Any, Any]:
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
        raise _unreadable(named(source), start, stop, error) from None


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
    return _shaped(raw, numpy_dtype(entry.dtype, named(source)), entry)


def read_torch(path: Path, data_start: int, entry: TensorEntry, index: Any = ...) -> torch.Tensor:
    """The tensor, or `tensor[index]`, over a private mapping: writing to it changes memory, never the file.

    4-bit floats come packed, two to a `float4_e2m1fn_x2` element.

    Raises:
        WeightscopeError: torch is not installed.
        NotImplementedByWeightscope: torch has no such dtype.
        CheckpointError: the file is shorter than its header said, or the tensor repeats a few bytes without measure.
    """
    need_torch(", or read values as NumPy")
    import torch

    check_view(path, entry)
    dtype, shape = torch_type(path, entry)
    start, stop = entry.data_offsets
    if start == stop:
        return torch.empty(shape, dtype=dtype)[index]
    raw = torch.frombuffer(_bytes(path, data_start, entry, writable=True), dtype=torch.uint8)
    flat = raw.view(dtype)
    tensor = flat.reshape(shape) if entry.strides is None else flat.as_strided(shape, entry.strides)
    chosen = tensor[index]
    # Old writers did not align; what was chosen is copied, not all that it was chosen from.
    return chosen.clone() if raw.data_ptr() % dtype.itemsize else chosen


def import_numpy() -> None:
    """Have NumPy and ml_dtypes imported before threads read values: two that import them at once get half of them."""
    import ml_dtypes  # noqa: F401 - it imports NumPy


def need_working_directory() -> None:
    """See that there is one: without it torch's libraries end the process.

    Raises:
        WeightscopeError: it was deleted.
    """
    try:
        Path.cwd()
    except OSError:
        raise WeightscopeError("the working directory was deleted", hint="change to one that exists") from None


def need_torch(otherwise: str = "") -> None:
    """See that torch can be used; `otherwise` says what can be done without.

    Raises:
        WeightscopeError: it is not installed, or the working directory was deleted.
    """
    need_working_directory()
    try:
        import torch  # noqa: F401 - whoever asks imports it next
    except ImportError:
        raise WeightscopeError("torch is not installed", hint=f"install weightscope-cli[forward]{otherwise}") from None


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
        raise _unreadable(named(source), data_start + start, data_start + stop, error) from None
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
        raise _unreadable(named(source), data_start + start, data_start + stop, error) from None
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


def torch_type(where: Where, entry: TensorEntry) -> tuple[torch.dtype, tuple[int, ...]]:
    """The torch dtype, and the shape in its elements: 4-bit floats come packed, two to an element."""
    import torch

    shape = entry.shape
    if entry.dtype == "F4" and shape and shape[-1] % 2 == 0:
        return torch.float4_e2m1fn_x2, (*shape[:-1], shape[-1] // 2)
    if entry.dtype not in _TORCH:
        raise NotImplementedByWeightscope(
            f"torch has no dtype for {entry.dtype}", where=where, hint="read the values as NumPy"
        )
    return getattr(torch, _TORCH[entry.dtype]), shape


def _unreadable(where: Where, start: int, stop: int, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"bytes {start:,} to {stop:,} cannot be read ({error})",
        where=where,
        hint="the file may have changed since it was opened",
        code="truncated-file",
    )


def _bytes(path: Path, data_start: int, entry: TensorEntry, *, writable: bool) -> memoryview:
    """The tensor's bytes, mapped."""
    start, stop = (data_start + offset for offset in entry.data_offsets)
    if start == stop:
        return memoryview(b"")
    page = start - start % mmap.ALLOCATIONGRANULARITY
    access = mmap.ACCESS_COPY if writable else mmap.ACCESS_READ
    try:
        with path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), stop - page, offset=page, access=access)
    except (OSError, ValueError) as error:
        raise _unreadable(path, start, stop, error) from None
    return memoryview(mapped)[start - page : stop - page]


def numpy_dtype(name: str, where: Where) -> np.dtype[Any]:
    """NumPy's type, or that of ml_dtypes.

    Raises:
        NotImplementedByWeightscope: there is none.
    """
    import ml_dtypes
    import numpy as np

    attribute = _NUMPY.get(name)
    if attribute is None:
        raise NotImplementedByWeightscope(
            f"NumPy has no dtype for {name}", where=where, hint="read the values as torch"
        )
    dtype: np.dtype[Any] = np.dtype(getattr(np, attribute, None) or getattr(ml_dtypes, attribute))
    return dtype


def words_of(dtype: str) -> str:
    """A type of the same width that any file's bytes can be read as, and NumPy has: unsigned integers."""
    bits = DTYPE_BITS[dtype]
    return f"U{bits}" if bits in (8, 16, 32, 64) else dtype


def _unpack(raw: np.ndarray[Any, Any], bits: int) -> np.ndarray[Any, Any]:
    """One byte an element from a stream packed lowest bits first."""
    import numpy as np

    stream = np.unpackbits(raw, bitorder="little").reshape(-1, bits)
    return np.packbits(stream, axis=1, bitorder="little")[:, 0]
