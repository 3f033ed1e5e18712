"""The files of a model by their SHA-256, held against what the Hub says of them where that is known."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from weightscope.analyses.lock.record import LockedFile
from weightscope.checkpoint.folder import Listed
from weightscope.checkpoint.reader import Checkpoint, Progress
from weightscope.checkpoint.streaming import whole_file
from weightscope.errors import CheckpointError

# In the Hub's cache a large file is a link to a blob with its SHA-256 as its name; other blobs have git's shorter ids.
SHA256 = re.compile(r"[0-9a-f]{64}")
CHUNK = 1 << 20


def lock_files(checkpoint: Checkpoint, progress: Progress | None = None) -> dict[str, LockedFile]:
    """Each weight file, and each file of the folder and below it, by its name there; hidden ones are left out.

    What is elsewhere has the SHA-256 that the Hub gives, or is read over the network where it gives none.

    Raises:
        CheckpointError: a file cannot be read, or is not what the Hub's cache says that it is; or there are too many.
        RemoteError: a file elsewhere cannot be had.
    """
    folder = checkpoint.folder
    paths = {checkpoint.name_of(file): file.path for file in checkpoint.files}
    listed = {checkpoint.name_of(file): Listed(bytes=file.bytes) for file in checkpoint.files}
    if checkpoint.whole:
        listed |= folder.listed()
    done, total = 0, sum(file.bytes for file in listed.values() if not file.sha256)
    found = {}
    for name in sorted(listed):
        if listed[name].sha256:
            found[name] = LockedFile(bytes=listed[name].bytes, sha256=listed[name].sha256)
            continue
        hasher, size = hashlib.sha256(), 0
        path = paths.get(name, folder.path / name) if folder.is_here(name) else None
        for chunk in _chunks(path) if path else whole_file(checkpoint, name):
            hasher.update(chunk)
            size += len(chunk)
            if progress:
                progress(done + size, total, name)
        done += size
        found[name] = LockedFile(bytes=size, sha256=hasher.hexdigest())
        if path:
            _hold(path, found[name].sha256)
    return found


def _chunks(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk
    except OSError as error:
        raise CheckpointError(f"cannot be read ({error.strerror or error})", where=path) from None


def _hold(path: Path, digest: str) -> None:
    """See that a file of the Hub's cache has the content that its blob's name promises."""
    blob = path.resolve()
    if blob.parent.name == "blobs" and SHA256.fullmatch(blob.name) and blob.name != digest:
        raise CheckpointError(
            f"has SHA-256 {digest}, but the Hub says {blob.name}", where=path, hint="delete it and download it again"
        )
