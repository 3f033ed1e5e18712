"""Memory that goes back to the system when it is dropped, so that a process's peak is what it holds at a time."""

from __future__ import annotations

import ctypes
import sys

# glibc's <malloc.h>.
M_MMAP_THRESHOLD = -3
THRESHOLD = 1 << 20


def give_back_at_once() -> None:
    """Have glibc map every large block for itself; elsewhere nothing is done.

    It would otherwise raise its threshold to the largest block that was ever freed, and keep tensors of many sizes in
    heaps that break into pieces: a model's depth would then show in its peak. For a process of our own only.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, THRESHOLD)
