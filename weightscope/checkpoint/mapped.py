"""The values of a tensor that lies in one span of a file here, mapped: a row of a large tensor costs a row.

A file that is cut short while such a mapping is used ends the process, as the system has it.
"""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weightscope.checkpoint.array_types import need_torch, numpy_dtype, torch_type
from weightscope.checkpoint.entry import TensorEntry
from weightscope.checkpoint.spans import check_view, shaped, unreadable

if TYPE_CHECKING:
    import numpy as np
    import torch


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
    array = shaped(raw, dtype, entry)
    # One element comes as a scalar, which has no flags to set.
    chosen = np.asarray(array[index])
    chosen.flags.writeable = False
    return chosen


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
        raise unreadable(path, start, stop, error) from None
    return memoryview(mapped)[start - page : stop - page]
