"""Put a small file where huggingface_hub looks for it: the layout of its cache, which is documented.

`blobs/ETAG` holds the content, `snapshots/COMMIT/NAME` links to it, `refs/REVISION` holds a commit.
"""

from __future__ import annotations

import os
from pathlib import Path

from weightscope.checkpoint.cached import repo_folder, snapshot
from weightscope.checkpoint.claims import is_hash, is_path
from weightscope.checkpoint.header_cache import write
from weightscope.checkpoint.hub_settings import settings
from weightscope.errors import RemoteError, Where


def place(repo: str, commit: str, name: str, etag: str, content: bytes | bytearray, where: Where) -> Path:
    """Write the file of a commit; the path at which it then is. `etag` is the hash that its repository lists.

    Raises:
        RemoteError: it cannot be written.
    """
    if not (is_hash(commit) and is_hash(etag) and is_path(name)):
        raise RemoteError("the server gave it an invalid name", where=where)
    blob, pointer = repo_folder(repo) / "blobs" / etag, snapshot(repo, commit) / name
    whole = blob if _links() else pointer
    if not write(whole, content) or not (whole is pointer or _link(blob, pointer)):
        hint = f"check that {settings().HF_HUB_CACHE} can be written to"
        raise RemoteError("a local copy cannot be written", where=where, hint=hint)
    return pointer


def known_blob(repo: str, etag: str, size: int) -> bytes | None:
    """The content that the cache has of another commit's file, if it has it whole."""
    path = repo_folder(repo) / "blobs" / etag
    try:
        return path.read_bytes() if path.stat().st_size == size else None
    except OSError:
        return None


def name_commit(repo: str, revision: str, commit: str) -> None:
    """Remember which commit a branch or tag is, as a download does; where that cannot be written it is not."""
    path = repo_folder(repo) / "refs" / revision
    if revision != commit and is_path(revision) and is_hash(commit):
        try:
            known = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            known = ""
        if known != commit:
            write(path, commit.encode())


def _links() -> bool:
    """Whether links are wanted, and this system makes them for anybody."""
    return os.name != "nt" and not settings().HF_HUB_DISABLE_SYMLINKS


def _link(blob: Path, pointer: Path) -> bool:
    """Make a link beside its place and move it there; whether that could be done."""
    beside = pointer.with_name(f"{blob.name}.{os.getpid()}.tmp")
    try:
        pointer.parent.mkdir(parents=True, exist_ok=True)
        beside.unlink(missing_ok=True)
        beside.symlink_to(os.path.relpath(blob, pointer.parent))
        beside.replace(pointer)
    except OSError:
        return write(pointer, blob.read_bytes())
    return True
