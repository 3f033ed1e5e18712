"""What `weightscope memory` shows of the work: multiply-adds, and how long reading takes at least."""

from __future__ import annotations

from collections.abc import Iterator

from weightscope.analyses.memory.report import Asked
from weightscope.analyses.memory.work import TokenWork
from weightscope.output import words


def work_facts(work: TokenWork, asked: Asked, *, exact: bool) -> Iterator[tuple[str, str]]:
    """Of one token and of a whole context; a step's reading is a bound, and nothing is as fast."""
    decode, prefill = (words.amount(number, exact=exact) for number in (work.decode, work.prefill))
    yield "Work", f"{decode} multiply-adds for the next token   {prefill} for {asked.context:,} before it"
    read = f"a step reads {words.size(work.read, exact=exact)} at least: {work.intensity:.3g} operations per byte"
    if work.floor_seconds:
        rate = words.count(int(asked.batch / work.floor_seconds))
        read += f"   no less than {work.floor_seconds * 1000:.3g} ms, at most {rate} tokens/s"
    yield "", read
