"""The values of a tensor a few rows at a time, as they are stored or as a quantized weight acts."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import TYPE_CHECKING, Any

import msgspec

from weightscope.checkpoint.array_types import numpy_dtype
from weightscope.checkpoint.dtypes import BLOCKS, DTYPE_BITS
from weightscope.checkpoint.entry import PiecedEntry, TensorEntry
from weightscope.checkpoint.reader import Checkpoint
from weightscope.checkpoint.spans import read_bytes
from weightscope.checkpoint.values import load_bytes, load_numpy, load_torch, slabs
from weightscope.errors import CheckpointError
from weightscope.quantization.common.dequantizing import as_used
from weightscope.storage.base import Scheme

if TYPE_CHECKING:
    import numpy as np
    import torch

# Bytes read at once: what is counted stays in the cache of a core.
CHUNK = 1 << 19
# Bytes of a large tensor that one thread takes before another takes the next.
SEGMENT = 1 << 26
# Stored elements of a quantized weight that are undone at once.
SLAB = 1 << 22
# A sample is taken at so many places.
PLACES = 16
# NumPy has no complex number of two float16.
HALVES = {"C32": "F16"}


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A tensor to look at: as it is stored, or with its `scheme` as the weight that it stands for.

    `weight` is the name that the weight has before quantization.
    """

    name: str
    entry: TensorEntry
    scheme: Scheme | None = None
    weight: str = ""

    @property
    def rows(self) -> int:
        """All dimensions but the last together; the elements of a vector; of a quantized weight the first dimension."""
        shape = self.entry.shape
        return prod(shape[:1] if self.scheme else shape[:-1] if len(shape) > 1 else shape)

    @property
    def bytes(self) -> int:
        """Bytes that are stored of it."""
        start, stop = self.entry.data_offsets
        return stop - start

    @property
    def is_whole(self) -> bool:
        """Whether its rows cannot be given to several threads: by its scheme, or because they do not lie in order."""
        if self.scheme is not None:
            return not self.scheme.rowwise or not self.rows
        if self.entry.dtype in BLOCKS:
            return len(self.entry.shape) < 2 or not self.rows
        scattered = self.entry.strides is not None or isinstance(self.entry, PiecedEntry)
        return scattered or DTYPE_BITS[self.entry.dtype] < 8 or not self.rows


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Some rows of one tensor."""

    rows: slice
    bytes: int


def parts_of(source: Source, sample: int | None = None) -> list[Part]:
    """The tensor in parts, one unless it is large; of a `sample` of so many values, a few rows at several places."""
    rows, size = source.rows, source.bytes
    if source.is_whole:
        return [Part(rows=slice(0, rows), bytes=size)]
    width = max(1, size // rows)
    columns = max(1, prod(source.entry.shape) // rows)
    if sample is None or rows * columns <= sample:
        step = max(1, SEGMENT // width)
        firsts: list[int] = list(range(0, rows, step))
    else:
        places = min(PLACES, max(1, sample // columns))
        step = max(1, sample // places // columns)
        firsts = sorted({place * (rows - step) // max(1, places - 1) for place in range(places)})
    slices = [slice(first, min(first + step, rows)) for first in firsts]
    return [Part(rows=rows, bytes=(rows.stop - rows.start) * width) for rows in slices]


def chunks(checkpoint: Checkpoint, source: Source, part: Part) -> Iterator[np.ndarray[Any, Any]]:
    """A part's values, some rows at a time, in a type of NumPy's; the next are read into the same memory.

    What is stored comes as [rows, columns], a quantized weight in the dimensions that it has.

    Raises:
        CheckpointError: the file is shorter than it was, or the tensors of a quantized weight do not fit together.
        NotImplementedByWeightscope: no such type, or a method that is only named.
    """
    entry, rows, files = source.entry, source.rows, checkpoint.files
    if source.scheme is not None:
        yield from _undone(checkpoint, source, source.scheme, part)
        return
    if not prod(entry.shape):
        return
    file = files[entry.file]
    if entry.dtype in BLOCKS:
        yield from _decoded(checkpoint, source, part)
        return
    if DTYPE_BITS[entry.dtype] < 8:
        yield load_numpy(files, entry).reshape(rows, -1)
        return
    dtype = numpy_dtype(HALVES.get(entry.dtype, entry.dtype), file.where)
    width = prod(entry.shape) * DTYPE_BITS[entry.dtype] // 8 // rows
    raws: Iterator[np.ndarray[Any, Any]]
    if source.is_whole:
        raws = (load_bytes(files, entry, slab) for slab in slabs(entry, CHUNK))
    else:
        first = file.data_start + entry.data_offsets[0]
        start, stop = first + part.rows.start * width, first + part.rows.stop * width
        raws = read_bytes(file.source, start, stop, max(1, CHUNK // width) * width)
    for raw in raws:
        yield raw.view(dtype).reshape(len(raw) // width, -1)


def _decoded(checkpoint: Checkpoint, source: Source, part: Part) -> Iterator[np.ndarray[Any, Any]]:
    """A tensor of a block type as float32, some rows at a time."""
    entry, files = source.entry, checkpoint.files
    if source.is_whole:
        yield load_numpy(files, entry).reshape(source.rows, -1)
        return
    by_row = msgspec.structs.replace(entry, shape=(source.rows, entry.shape[-1]))
    step = max(1, SLAB // max(entry.shape[-1], 1))
    for first in range(part.rows.start, part.rows.stop, step):
        yield load_numpy(files, by_row, slice(first, min(first + step, part.rows.stop)))


def _undone(checkpoint: Checkpoint, source: Source, scheme: Scheme, part: Part) -> Iterator[np.ndarray[Any, Any]]:
    """A quantized weight as float32, some rows at a time where its scheme can be undone by rows."""
    step = max(1, SLAB * source.rows // max(prod(source.entry.shape), 1))
    firsts = range(part.rows.start, part.rows.stop, step)
    by_row = [slice(first, min(first + step, part.rows.stop)) for first in firsts]
    for slab in [None] if source.is_whole else by_row:

        def raw(name: str, rows: slice | None = slab) -> torch.Tensor:
            entry = checkpoint.tensors.get(name)
            if entry is None:
                raise CheckpointError(
                    f"{source.name} cannot be dequantized: {name} is in no file",
                    where=checkpoint.path,
                    hint="`weightscope check` says what else is missing",
                    code="missing-tensor",
                )
            return load_torch(checkpoint.files, entry, rows if entry.shape[:1] == (source.rows,) else None)

        def vector(name: str) -> torch.Tensor | None:
            entry = checkpoint.tensors.get(name)
            return load_torch(checkpoint.files, entry) if entry else None

        weight: np.ndarray[Any, Any] = as_used(scheme, source.weight, raw, vector).contiguous().numpy()
        yield weight
