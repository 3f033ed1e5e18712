"""What the readers of checkpoints that several ranks wrote have in common: limits, hints and refusals."""

from __future__ import annotations

from collections.abc import Mapping

from weightscope.errors import CheckpointError, Where

AGAIN = "copy the files of all machines again, or take an earlier save"
MAX_RANKS = 100_000


def count_in(settings: Mapping[object, object], key: str) -> int:
    """How many ranks or experts a checkpoint says there are; 0 where it does not say so."""
    value = settings.get(key)
    return value if type(value) is int and 0 < value <= MAX_RANKS else 0


def unlike(name: str, where: Where) -> CheckpointError:
    """The error of a tensor whose parts do not go together."""
    return CheckpointError(
        f"{name[:200]} is not alike in the files of all ranks", where=where, hint=AGAIN, code="malformed-header"
    )
