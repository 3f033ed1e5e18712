"""Memory for weights that is used again, because a fresh page costs more than what is written into it.

A buffer is handed out as a tensor, and comes back when no tensor refers to it any more: neither that one nor a view of
it. So whoever keeps a weight, or a part of one, keeps its memory, and nothing has to be given back by hand.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from math import prod
from threading import Lock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import torch

# Smaller blocks come from the heap, which uses their pages again by itself.
SMALL = 1 << 20
# What the pool holds at most, as a multiple of what was in use at the same time: blocks of several sizes take turns.
ROOM = 1.5


class Pool:
    """Buffers for the tensors of one pass, used or free; when there are too many, the longest free go first."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._free: list[np.ndarray[Any, Any]] = []
        # A tensor may die in any thread at any moment, so what it gives back is only noted then.
        self._returned: deque[np.ndarray[Any, Any]] = deque()
        self._used = self._most = 0

    def take(self, size: int) -> torch.Tensor:
        """`size` bytes with anything in them."""
        import torch

        with self._lock:
            buffer = self._buffer(size)
        # torch keeps this array, and this array alone, as long as a tensor shares its memory.
        handle = buffer[:]
        weakref.finalize(handle, self._returned.append, buffer).atexit = False
        return torch.from_numpy(handle)

    def _buffer(self, size: int) -> np.ndarray[Any, Any]:
        import torch

        while self._returned:
            self._free.append(self._returned.popleft())
            self._used -= self._free[-1].nbytes
        self._used += size
        self._most = max(self._most, self._used)
        for place, buffer in enumerate(self._free):
            if buffer.nbytes == size:
                return self._free.pop(place)
        kept = sum(buffer.nbytes for buffer in self._free)
        while self._free and self._used + kept > ROOM * self._most:
            kept -= self._free.pop(0).nbytes
        return torch.empty(size, dtype=torch.uint8).numpy()


_current: ContextVar[Pool | None] = ContextVar("pool", default=None)


@contextmanager
def pooled() -> Iterator[None]:
    """Have `empty` and `converted` use a pool in this block, and in threads that run in its context."""
    token = _current.set(Pool())
    try:
        yield
    finally:
        _current.reset(token)


def empty(shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
    """A tensor in memory with anything in it, from the pool of the `pooled` block around, if any."""
    import torch

    pool, size = _current.get(), prod(shape) * dtype.itemsize
    if pool is None or size < SMALL:
        return torch.empty(shape, dtype=dtype)
    return pool.take(size).view(dtype).view(shape)


def converted(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """`tensor.to(dtype)`, its memory from the pool."""
    import torch

    if tensor.dtype is dtype or tensor.device.type != "cpu":
        return tensor.to(dtype)
    # A transposed matrix stays one.
    layout = torch.empty_like(tensor, dtype=dtype, device="meta")
    return empty(layout.shape, dtype).as_strided(layout.shape, layout.stride()).copy_(tensor)
