"""The files of a model by their SHA-256, held against what the Hub says of them where that is known."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from weightscope.analyses.lock.record import LockedFile
from weightscope.checkpoint.reader import Checkpoint, Progress
from weightscope.errors import CheckpointError

# In the Hub's cache a large file is a link to a blob with its SHA-256 as its name; other blobs have git's shorter ids.
SHA256 = re.compile(r"[0-9a-f]{64}")
CHUNK = 1 << 20
MAX_FILES = 100_000


def lock_files(checkpoint: Checkpoint, progress: Progress | None = None) -> dict[str, LockedFile]:
    """Each weight file, and each file of the folder and below it, by its name there; hidden ones are left out.

    Raises:
        CheckpointError: a file cannot be read, or is not what the Hub's cache says that it is; or there are too many.
    """
    paths = {checkpoint.name_of(file): file.path for file in checkpoint.files}
    if checkpoint.whole:
        paths |= _below(checkpoint.folder.path)
    done, total = 0, sum(path.stat().st_size for path in paths.values())
    found = {}
    for name in sorted(paths):
        hasher, size = hashlib.sha256(), 0
        try:
            with paths[name].open("rb") as file:
                while chunk := file.read(CHUNK):
                    hasher.update(chunk)
                    size += len(chunk)
                    if progress:
                        progress(done + size, total, name)
        except OSError as error:
            raise CheckpointError(f"cannot be read ({error.strerror or error})", where=paths[name]) from None
        done += size
        found[name] = LockedFile(bytes=size, sha256=hasher.hexdigest())
        _hold(paths[name], found[name].sha256)
    return found


def _below(folder: Path) -> dict[str, Path]:
    """Files by their names with the folders between; what a link to a folder leads to is left out."""
    found: dict[str, Path] = {}
    for above, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        paths = (Path(above, name) for name in sorted(names) if not name.startswith("."))
        found |= {path.relative_to(folder).as_posix(): path for path in paths if path.is_file()}
        if len(found) > MAX_FILES:
            raise CheckpointError(
                f"more than {MAX_FILES:,} files", where=folder, hint="give a folder of the model alone"
            )
    return found


def _hold(path: Path, digest: str) -> None:
    """See that a file of the Hub's cache has the content that its blob's name promises."""
    blob = path.resolve()
    if blob.parent.name == "blobs" and SHA256.fullmatch(blob.name) and blob.name != digest:
        raise CheckpointError(
            f"has SHA-256 {digest}, but the Hub says {blob.name}", where=path, hint="delete it and download it again"
        )
