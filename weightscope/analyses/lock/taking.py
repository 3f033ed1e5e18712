"""From a model to its lock."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from weightscope.analyses.held.holdings import take_holdings
from weightscope.analyses.held.meaning import meaning
from weightscope.analyses.lock.digests import digests
from weightscope.analyses.lock.files import lock_files
from weightscope.analyses.lock.record import Algorithm, Lock, hasher_of, root_of
from weightscope.checkpoint.entry import require_here
from weightscope.checkpoint.reader import Checkpoint, Progress
from weightscope.checkpoint.unchanged import unchanged
from weightscope.config import Config
from weightscope.errors import CheckpointError, UsageError
from weightscope.families.declaration import Declaration

SNAPSHOT = re.compile(r"models--(.+?)/snapshots/([0-9a-f]{40})(?:/|$)")


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What goes into a lock: digests by an `algorithm`, or None for headers only; `files` with their SHA-256."""

    algorithm: Algorithm | None = "sha256"
    files: bool = False


def take_lock(
    reference: str,
    checkpoint: Checkpoint,
    config: Config | None,
    declaration: Declaration | None,
    wanted: Wanted,
    *,
    tied: bool,
    progress: Progress | None = None,
) -> Lock:
    """The lock; a `tied` head that is stored as well is the embedding and is left out.

    Raises:
        UsageError: there are no weights.
        CheckpointError: a file is missing, elsewhere, cut short, not what the Hub says, or changed while it was read.
        WeightscopeError: blake3 or torch is needed and not installed.
    """
    if not checkpoint.files:
        raise UsageError("lock needs weights, and there are none here", where=reference)
    if not checkpoint.complete:
        raise CheckpointError("shards are missing or damaged", where=reference, hint="`weightscope check` says which")
    if wanted.algorithm or wanted.files:
        require_here(*(file.out_of_reach for file in checkpoint.files))
    holdings = take_holdings(checkpoint, declaration, without_head=tied)
    make = hasher_of(wanted.algorithm) if wanted.algorithm else None
    with unchanged(checkpoint):
        weights = digests(checkpoint, holdings.by_file(checkpoint), make, progress)
        files = lock_files(checkpoint, progress) if wanted.files else None
    repository, revision = _origin(checkpoint.path)
    return Lock(
        algorithm=wanted.algorithm,
        model_type=config.model_type if config else "",
        repository=repository,
        revision=revision,
        root=root_of(weights, wanted.algorithm) if wanted.algorithm else None,
        config=meaning(config, declaration),
        files=files,
        weights=weights,
    )


def _origin(path: Path) -> tuple[str | None, str | None]:
    """The repository and commit of a model of the Hub's cache, as far as its path tells."""
    match = SNAPSHOT.search(path.as_posix())
    return (match[1].replace("--", "/"), match[2]) if match else (None, None)
