"""The cheap part of looking at values: whether all of a tensor are finite, and whether all are zero."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from threading import Event
from typing import TYPE_CHECKING, Any

import msgspec

from weightscope.analyses.stats.gathering import by_parts
from weightscope.analyses.stats.reading import Part, Source, chunks
from weightscope.checkpoint.reader import Checkpoint
from weightscope.checkpoint.values import type_of
from weightscope.errors import CheckpointError

if TYPE_CHECKING:
    import numpy as np

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


class Skimmed(msgspec.Struct, frozen=True, kw_only=True):
    """Whether all values of a tensor are finite, and whether there are some and all are zero.

    `error` is set where it could not be read. Of a tensor that is not finite, the rest is not looked at.
    """

    name: str
    finite: bool = True
    zero: bool = False
    error: CheckpointError | None = None


def skim(checkpoint: Checkpoint, sources: Sequence[Source]) -> Iterator[Skimmed]:
    """Each tensor in order."""

    def look(source: Source, part: Part) -> Skimmed:
        return _skimmed(checkpoint, source, part)

    for source, parts in by_parts(sources, look, stop=Event()):
        yield Skimmed(
            name=source.name,
            finite=all(part.finite for part in parts),
            zero=all(part.zero for part in parts),
            error=next((part.error for part in parts if part.error), None),
        )


def _skimmed(checkpoint: Checkpoint, source: Source, part: Part) -> Skimmed:
    zero = part.bytes > 0
    try:
        for chunk in chunks(checkpoint, source, part):
            sound, empty = judge(chunk, type_of(source.entry))
            zero = zero and empty
            if not sound:
                return Skimmed(name=source.name, finite=False)
    except CheckpointError as error:
        return Skimmed(name=source.name, error=error)
    return Skimmed(name=source.name, zero=zero)


def judge(values: np.ndarray[Any, Any], dtype: str) -> tuple[bool, bool]:
    """(all finite, all zero) of some values of a type."""
    raw = values.reshape(-1)
    if dtype in NEGATIVE_ZERO:
        return int(raw.view("i1").min(initial=0)) != NEGATIVE_ZERO[dtype], not int(raw.view("u1").max(initial=0))
    width, lowest = NON_FINITE.get(PARTS.get(dtype, dtype), (1, None))
    bits = raw.view(f"<u{width}")
    # As integers without a sign the negative numbers are the largest, with one the positive: the largest tells of all.
    largest = int(bits.max(initial=0))
    if lowest is None or not largest:
        return True, not largest
    negative = lowest | 1 << (8 * width - 1)
    return largest < negative and int(bits.view(f"<i{width}").max()) < lowest, False
