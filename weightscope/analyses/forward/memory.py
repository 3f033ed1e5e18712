"""The most memory that this process has had, and how to have it hold no more than it uses."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

# glibc's <malloc.h>.
M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
# What a layer computes of some hundred tokens stays below.
THRESHOLD = 1 << 22
# What is kept of smaller blocks that are free: what a layer of 512 tokens frees, the next one needs.
KEPT = 1 << 26


def bound_heaps() -> None:
    """Have glibc map every large block for itself, and keep the pages of smaller ones; elsewhere nothing is done.

    It would otherwise raise its threshold to the largest block that was ever freed, and keep tensors of many sizes in
    heaps that break into pieces: a model's depth would then show in its peak. For a process of our own only.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, THRESHOLD)
        mallopt(M_TRIM_THRESHOLD, KEPT)


def peak_bytes() -> int:
    """The process's largest resident set; 0 where the system does not tell."""
    try:
        # What getrusage tells on Linux includes what the process that started this one had.
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        pass
    try:
        import resource
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
