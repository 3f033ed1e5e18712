"""What was fetched once and need not be again: listings by commit and headers by what names their content."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from weightscope.checkpoint.hub_settings import settings
from weightscope.checkpoint.ranged import Span
from weightscope.errors import RemoteError, Where
from weightscope.interrupt import unfinished

T = TypeVar("T")

# A header of the longest kind, and what came with it.
MAX_KEPT = 300_000_000


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """A file as its repository lists it; `etag` names the content: SHA-256 for large files, git's id for small ones."""

    size: int
    etag: str


class Listing(msgspec.Struct, frozen=True):
    """All files of a repository at one commit, which never change."""

    commit: str
    files: dict[str, Entry]


class Part(msgspec.Struct, frozen=True):
    """What was read of a file."""

    size: int
    etag: str
    spans: Sequence[Span]


def home() -> Path:
    """The folder, beside the Hugging Face cache; it may be deleted at any time."""
    return Path(settings().HF_HOME) / "weightscope"


def load_listing(repo: str, commit: str) -> Listing | None:
    """The listing of a commit that was seen before."""
    return _load(_listing_path(repo, commit), Listing)


def keep_listing(repo: str, listing: Listing) -> None:
    """Remember a commit's files."""
    write(_listing_path(repo, listing.commit), msgspec.msgpack.encode(listing))


def load_part(key: str) -> Part | None:
    """What was read of the file with this content, or at this address."""
    return _load(_part_path(key), Part)


def keep_part(key: str, part: Part) -> None:
    """Remember what was read."""
    write(_part_path(key), msgspec.msgpack.encode(part))


def write(path: Path, content: bytes | bytearray) -> bool:
    """Write beside the place and move there, so that nobody meets half of it; whether there was room and leave to."""
    temporary = Path(f"{path}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        try:
            _write(temporary, path, content)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(temporary, path, content)
    except OSError:
        return False
    return True


def _write(temporary: Path, path: Path, content: bytes | bytearray) -> None:
    try:
        with unfinished(temporary):
            with temporary.open("xb") as file:
                file.write(content)
            temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def write_copy(path: Path, content: bytes | bytearray, where: Where) -> Path:
    """The same of what must be here as a file to be read.

    Raises:
        RemoteError: it cannot be.
    """
    if not write(path, content):
        raise RemoteError("a local copy cannot be written", where=where, hint=f"check that {home()} can be written to")
    return path


def folder_for(address: str) -> Path:
    """Where copies of the small files of an address are put, each time anew."""
    return home() / "beside" / _name(address)


def _load(path: Path, kind: type[T]) -> T | None:
    try:
        if path.stat().st_size > MAX_KEPT:
            return None
        return msgspec.msgpack.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def _listing_path(repo: str, commit: str) -> Path:
    return home() / "listings" / _name(f"{settings().ENDPOINT} {repo} {commit}")


def _part_path(key: str) -> Path:
    return home() / "headers" / _name(key)


def _name(key: str) -> str:
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()
