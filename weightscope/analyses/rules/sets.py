"""Does another complete set of weights lie beside the one that was read?"""

from __future__ import annotations

from collections.abc import Iterator

from weightscope.analyses.rules.subject import Subject, some
from weightscope.checkpoint.sets import Beside
from weightscope.findings import Finding


def other_weights(subject: Subject) -> Iterator[Finding]:
    """`other-weights`: an error where loaders follow an index in vain, a warning for two sets of one format."""
    location = subject.checkpoint.location
    if not location.weights or not location.beside:
        return
    read = _read(subject)
    for item in location.beside:
        if item.relation == "stale-index":
            yield _stale(item, read)
        elif item.relation == "same-format":
            yield Finding(
                code="other-weights",
                severity="warning",
                message=f"two sets of weights: {read} was read, as in transformers; {item.name} names the other",
                actual=[read, item.name],
                hint="other loaders may read the shards: delete the set that is not needed",
            )
        elif item.relation == "other-format":
            yield Finding(
                code="other-weights",
                severity="info",
                message=f"the directory also has {item.name}, the weights in another format; {read} was read",
                actual=[read, item.name],
                hint="keep one of the two, unless older loaders need both",
            )
        elif item.relation == "left-index":
            yield Finding(
                code="other-weights",
                severity="info",
                message=f"{item.name} names shards that are missing; {read} was read, as in transformers",
                actual=[read, item.name],
                hint="probably left over from a sharded save: delete the index",
            )


def _stale(item: Beside, read: str) -> Finding:
    return Finding(
        code="other-weights",
        severity="error",
        message=f"{item.name} is from another save, and its files are missing; {read} was read, which is complete",
        actual=[read, item.name],
        hint="loaders follow the index and fail: delete it, or write it again from the existing files",
    )


def _read(subject: Subject) -> str:
    """The files that were read, in few words."""
    names = [path.name for path in subject.checkpoint.location.weights]
    return names[0] if len(names) == 1 else f"{some(names, 'file')} ({names[0]} …)"
