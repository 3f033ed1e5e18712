"""Counts of a part would pass for counts of the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightscope.errors import CheckpointError

if TYPE_CHECKING:
    from weightscope.api.model import Model


def refuse_incomplete(model: Model) -> None:
    """Raise if shards are missing.

    Raises:
        CheckpointError: `missing-shard`.
    """
    for finding in model.checkpoint.findings:
        if finding.code == "missing-shard" and finding.severity == "error":
            raise CheckpointError(finding.message, where=model.reference, hint=finding.hint, code=finding.code)
