"""Are the numbers themselves sound? Read only with `--values`."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event

from weightscope.analyses.rules.subject import Subject
from weightscope.analyses.stats import findings
from weightscope.analyses.stats.gathering import gather
from weightscope.analyses.stats.looked import Looked
from weightscope.analyses.stats.reading import Source
from weightscope.analyses.stats.repeats import find_repeats
from weightscope.analyses.stats.skimming import skim
from weightscope.analyses.stats.sources import sources_of
from weightscope.analyses.stats.standing_out import is_constant, odd
from weightscope.checkpoint.reader import Progress
from weightscope.checkpoint.values import load_numpy
from weightscope.errors import CheckpointError
from weightscope.findings import Finding
from weightscope.storage.base import Kind

# So many values tell the size of a matrix to a percent.
SAMPLE = 1 << 14


def unsound_values(subject: Subject, progress: Progress | None = None) -> Iterator[Finding]:
    """`non-finite`, an error, and `all-zero`, a warning for matrices; one finding a group of names.

    What cannot be read is an error too, one for each file and reason.
    """
    broken: list[str] = []
    empty: list[str] = []
    errors: list[tuple[str, CheckpointError]] = []
    tensors = subject.checkpoint.tensors
    sources = [Source(name=name, entry=entry) for name, entry in tensors.items()]
    for number, found in enumerate(skim(subject.checkpoint, sources)):
        if progress:
            progress(number, len(sources), found.name)
        if found.error:
            errors.append((found.name, found.error))
        elif not (found.finite or _is_open(subject, found.name)):
            broken.append(found.name)
        elif found.zero and _is_matrix(subject, found.name):
            empty.append(found.name)
    yield from findings.unreadable(errors)
    yield from findings.non_finite(broken)
    yield from findings.all_zero(empty)


def _is_open(subject: Subject, name: str) -> bool:
    """Whether it is an infinite bound, which clamps nothing."""
    if not subject.inventory.group_of(name).may_be_infinite:
        return False
    import numpy as np

    return not np.isnan(load_numpy(subject.checkpoint.files, subject.checkpoint.tensors[name])).any()


def _is_matrix(subject: Subject, name: str) -> bool:
    has_rows = len(subject.checkpoint.tensors[name].shape) > 1
    return has_rows and subject.inventory.group_of(name).kind is Kind.WEIGHT


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
