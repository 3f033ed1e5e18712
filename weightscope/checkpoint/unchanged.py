"""See that nothing writes to a checkpoint's files while their values are read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from weightscope.checkpoint.reader import Checkpoint
from weightscope.errors import CheckpointError


@contextmanager
def unchanged(*checkpoints: Checkpoint) -> Iterator[None]:
    """While values are read: what comes of it is of the files as they are, and of no mixture.

    Raises:
        CheckpointError: at the end, where a file has another size, time or place on the disk than before.
    """
    files = [file for checkpoint in checkpoints for file in checkpoint.files if not file.remote]
    before = {file.path: _state(file.path) for file in files}
    yield
    for path, state in before.items():
        if _state(path) != state:
            raise CheckpointError("changed while it was read", where=path, hint="try again when nothing writes to it")


def _state(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino
