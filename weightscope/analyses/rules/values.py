"""Are the numbers themselves sound? Read only with `--values`."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event
from typing import TYPE_CHECKING, Any

from weightscope.analyses.rules.subject import Subject
from weightscope.analyses.stats import findings
from weightscope.analyses.stats.gathering import gather
from weightscope.analyses.stats.looked import Looked
from weightscope.analyses.stats.repeats import find_repeats
from weightscope.analyses.stats.sources import sources_of
from weightscope.analyses.stats.standing_out import is_constant, odd
from weightscope.checkpoint.entry import TensorEntry
from weightscope.checkpoint.reader import Checkpoint, Progress
from weightscope.checkpoint.values import read_chunks, type_of
from weightscope.errors import CheckpointError
from weightscope.findings import Finding
from weightscope.storage.base import Kind

if TYPE_CHECKING:
    import numpy as np

# What stays in the cache of a core is looked at in a third of the time.
CHUNK = 1 << 19
# So many values tell the size of a matrix to a percent.
SAMPLE = 1 << 14
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
    errors: list[tuple[str, CheckpointError]] = []
    total = len(subject.checkpoint.tensors)
    for number, (name, entry) in enumerate(subject.checkpoint.tensors.items()):
        if progress:
            progress(number, total, name)
        try:
            finite, zero = look(subject.checkpoint, entry)
        except CheckpointError as error:
            errors.append((name, error))
            continue
        if not finite:
            broken.append(name)
        if zero and len(entry.shape) > 1 and subject.inventory.group_of(name).kind is Kind.WEIGHT:
            empty.append(name)
    yield from findings.unreadable(errors)
    yield from findings.non_finite(broken)
    yield from findings.all_zero(empty)


def odd_values(subject: Subject) -> Iterator[Finding]:
    """`value-outlier` and `constant-tensor`: weights unlike those of the same role in other layers, or copies of them.

    Sizes are told by a sample of each tensor. What a sample shows to be constant or a copy is read whole.
    """
    checkpoint, stop = subject.checkpoint, Event()
    known = sources_of(checkpoint, subject.inventory, subject.declaration, stored=True)
    sources = [item.source for item in known]
    sampled = gather(checkpoint, sources, sample=SAMPLE, stop=stop)
    seen = [Looked.of(item, one) for item, one in zip(known, sampled, strict=True)]
    places = [place for place, one in enumerate(seen) if is_constant(one)]
    whole = gather(checkpoint, [sources[place] for place in places], stop=Event())
    for place, one in zip(places, whole, strict=True):
        seen[place] = Looked.of(known[place], one)
    yield from odd(seen, find_repeats(checkpoint, seen))


def look(checkpoint: Checkpoint, entry: TensorEntry) -> tuple[bool, bool]:
    """(all finite, all zero) of one tensor, a chunk at a time."""
    start, stop = entry.data_offsets
    zero = stop > start
    for raw in read_chunks(checkpoint.files, entry, CHUNK):
        sound, empty = _judge(raw, type_of(entry))
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
