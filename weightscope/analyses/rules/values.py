"""Are the numbers themselves sound? The only rules that read tensor data, and only when asked to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from weightscope.analyses.rules.subject import Subject, listed, some
from weightscope.checkpoint.entry import TensorEntry
from weightscope.checkpoint.reader import Checkpoint, Progress
from weightscope.checkpoint.values import read_chunks
from weightscope.errors import CheckpointError
from weightscope.findings import Finding
from weightscope.ranges import summed
from weightscope.storage.base import Kind

if TYPE_CHECKING:
    import numpy as np

# What stays in the cache of a core is looked at in a third of the time.
CHUNK = 1 << 19
# Bytes of an element, and its bits as an integer once the sign is taken off: from this number on it is infinite or NaN.
NON_FINITE = {
    "F64": (8, 0x7FF0000000000000),
    "F32": (4, 0x7F800000),
    "F16": (2, 0x7C00),
    "BF16": (2, 0x7F80),
    "F8_E5M2": (1, 0x7C),
    "F8_E4M3": (1, 0x7F),
    "F8_E8M0": (1, 0xFF),
}
# Complex numbers are two of these.
PARTS = {"C32": "F16", "C64": "F32", "C128": "F64"}
# Of these the one NaN is the negative zero, the least of all integers.
NEGATIVE_ZERO = {"F8_E4M3FNUZ": -0x80, "F8_E5M2FNUZ": -0x80}


def unsound_values(subject: Subject, progress: Progress | None = None) -> Iterator[Finding]:
    """`non-finite`, an error, and `all-zero`, a warning for matrices; one finding a group of names.

    What cannot be read is an error too, one for each file and reason.
    """
    broken: list[str] = []
    empty: list[str] = []
    unreadable: set[tuple[str | None, str | None]] = set()
    total = len(subject.checkpoint.tensors)
    for number, (name, entry) in enumerate(subject.checkpoint.tensors.items()):
        if progress:
            progress(number, total, name)
        try:
            finite, zero = look(subject.checkpoint, entry)
        except CheckpointError as error:
            # Of a file that ends too early, every later tensor would say the same.
            if (error.where, error.code) not in unreadable:
                unreadable.add((error.where, error.code))
                yield msgspec.structs.replace(Finding.of(error), tensors=(name,))
            continue
        if not finite:
            broken.append(name)
        if zero and len(entry.shape) > 1 and subject.inventory.group_of(name).kind is Kind.WEIGHT:
            empty.append(name)
    for title in summed(broken):
        yield Finding(
            code="non-finite",
            severity="error",
            message=f"{title} contains NaN or infinity",
            tensors=(title,),
            hint="the model's outputs are NaN; training diverged, or a conversion overflowed",
        )
    if empty:
        titles = summed(empty)
        yield Finding(
            code="all-zero",
            severity="warning",
            message=f"{some(empty)} with only zeros: {listed(titles)}",
            tensors=tuple(titles),
            hint="never initialized, pruned entirely, or left by a download that did not finish",
        )


def look(checkpoint: Checkpoint, entry: TensorEntry) -> tuple[bool, bool]:
    """(all finite, all zero) of one tensor, a chunk at a time."""
    start, stop = entry.data_offsets
    zero = stop > start
    for raw in read_chunks(checkpoint.files, entry, CHUNK):
        sound, empty = _judge(raw, entry.dtype)
        zero = zero and empty
        if not sound:
            return False, False
    return True, zero


def _judge(raw: np.ndarray[Any, Any], dtype: str) -> tuple[bool, bool]:
    """(all finite, all zero) of some elements' bytes."""
    if dtype in NEGATIVE_ZERO:
        return int(raw.view("i1").min(initial=0)) != NEGATIVE_ZERO[dtype], not int(raw.max(initial=0))
    width, lowest = NON_FINITE.get(PARTS.get(dtype, dtype), (1, None))
    bits = raw.view(f"<u{width}")
    # As integers without a sign the negative numbers are the largest, with one the positive: the largest tells of all.
    largest = int(bits.max(initial=0))
    if lowest is None or not largest:
        return True, not largest
    negative = lowest | 1 << (8 * width - 1)
    return largest < negative and int(bits.view(f"<i{width}").max()) < lowest, False
