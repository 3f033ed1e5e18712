"""Tensors of block types as the float32 numbers that they stand for, whole or some rows of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from weightscope.checkpoint import spans
from weightscope.checkpoint.blocks.decode import decode
from weightscope.checkpoint.entry import TensorEntry
from weightscope.pool import empty

if TYPE_CHECKING:
    import numpy as np
    import torch


def load_numpy(
    source: spans.Source, data_start: int, entry: TensorEntry, rows: slice | None = None
) -> np.ndarray[Any, np.dtype[np.float32]]:
    """The tensor, or consecutive rows of it, in memory of its own.

    Raises:
        CheckpointError: the file is shorter than its header said.
    """
    import numpy as np

    some, within = _span(entry, rows)
    raw = spans.load_numpy(source, data_start, _as_bytes(some))
    values = np.empty(some.shape, dtype=np.float32)
    decode(entry.dtype, raw, values)
    return values if within is None else values[within]


def load_torch(source: spans.Source, data_start: int, entry: TensorEntry, rows: slice | None = None) -> torch.Tensor:
    """The same for torch, in memory of the pool.

    Raises:
        CheckpointError: the file is shorter than its header said.
    """
    some, within = _span(entry, rows)
    values = _decoded(spans.load_torch(source, data_start, _as_bytes(some)), entry.dtype, some.shape)
    return values if within is None else values[within]


def gather_torch(source: spans.Source, data_start: int, entry: TensorEntry, index: torch.Tensor) -> torch.Tensor:
    """The rows of an index of whole numbers, read one by one.

    Raises:
        CheckpointError: the file is shorter than its header said.
        IndexError: there is no such row.
    """
    if len(entry.shape) < 2:
        return load_torch(source, data_start, entry)[index]
    count, (start, stop) = entry.shape[0], entry.data_offsets
    by_row = TensorEntry("U8", (count, (stop - start) // max(count, 1)), entry.data_offsets)
    raw = spans.gather_torch(source, data_start, by_row, index)
    return _decoded(raw, entry.dtype, (*index.shape, *entry.shape[1:]))


def _span(entry: TensorEntry, rows: slice | None) -> tuple[TensorEntry, slice | None]:
    """What is to be read, and what of that is meant: blocks go across the elements of a vector."""
    if rows is None or len(entry.shape) < 2:
        return entry, rows
    return spans.some_rows(entry, rows), None


def _as_bytes(entry: TensorEntry) -> TensorEntry:
    start, stop = entry.data_offsets
    return msgspec.structs.replace(entry, dtype="U8", shape=(stop - start,))


def _decoded(raw: torch.Tensor, dtype: str, shape: tuple[int, ...]) -> torch.Tensor:
    import torch

    values = empty(shape, torch.float32)
    decode(dtype, raw.numpy().reshape(-1), values.numpy())
    return values
