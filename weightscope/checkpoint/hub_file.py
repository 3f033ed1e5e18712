"""A large file of the Hub as huggingface_hub downloads it: held to what is listed, its waits bounded, nothing shown."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from huggingface_hub.file_download import hf_hub_download

from weightscope.checkpoint.cached import repo_folder
from weightscope.checkpoint.claims import is_hash
from weightscope.checkpoint.clients import shared
from weightscope.checkpoint.exchange import HOOKS, Exchange, Throughput, current
from weightscope.checkpoint.failures import failure
from weightscope.checkpoint.header_cache import Entry
from weightscope.checkpoint.hub_settings import settings
from weightscope.checkpoint.wire import BUSY, CONTENT_RANGE, MAX_WAIT, WAITS, Wire, asks_to_wait
from weightscope.errors import RemoteError, Where
from weightscope.interrupt import cleaning

# Headers that have huggingface_hub fetch by another client, or wait as long as a server likes.
IGNORED = ("X-Xet-Hash", "Retry-After", "RateLimit")


def fetch(
    wire: Wire, repo: str, commit: str, name: str, entry: Entry, where: Where, received: Callable[[float], None]
) -> Path:
    """The file in the local cache; `received` is told of bytes.

    Raises:
        RemoteError: it cannot be had, or the server has another file than it lists.
    """
    for handler in logging.getLogger("huggingface_hub").handlers:
        handler.addFilter(_unless_ours)
    most = settings().MAX_HTTP_DOWNLOAD_SIZE
    if entry.size > most:
        raise RemoteError(
            f"has {entry.size:,} bytes; the limit over HTTP is {most:,}", where=where, hint=f"hf download {repo}"
        )
    # The client that huggingface_hub will use.
    shared(HOOKS)
    with (
        cleaning(lambda: sweep(repo, entry)),
        wire.live(Exchange(Throughput(), _Listed(entry, commit).expects)),
    ):
        try:
            path = hf_hub_download(
                repo,
                name,
                revision=commit,
                library_name="weightscope",
                etag_timeout=settings().HF_HUB_ETAG_TIMEOUT,
                tqdm_class=_bar(received),
            )
        except Exception as error:  # noqa: BLE001 - it raises OSError, ValueError and its client's errors alike
            raise failure(error, where) from None
    return Path(path)


def sweep(repo: str, entry: Entry) -> None:
    """Remove what is half written of a file whose download was given up and does not end."""
    if is_hash(entry.etag):
        for path in (repo_folder(repo) / "blobs").glob(f"{entry.etag}.*.incomplete"):
            with suppress(OSError):
                path.unlink()


class _Listed:
    """Holds each answer against the listing, before huggingface_hub makes a path of it."""

    def __init__(self, entry: Entry, commit: str) -> None:
        self._entry = entry
        self._commit = commit
        self._refusals = 0

    def expects(self, response: Any) -> int:
        """Bytes that the body of an answer has."""
        headers, status = response.headers, response.status_code
        if status in BUSY:
            self._count(status, asks_to_wait(headers))
        for name in IGNORED:
            headers.pop(name, None)
        if response.request.method == "HEAD":
            self._hold_name(headers, status)
            return 0
        return self._hold_part(response) if status < 300 else 0

    def _count(self, status: int, after: float) -> None:
        self._refusals += 1
        if after > MAX_WAIT:
            raise RemoteError(f"the server answers {status} and asks to wait {after:.0f} seconds")
        if self._refusals > len(WAITS):
            raise RemoteError(f"the server answers {status} ({self._refusals} times)")

    def _hold_name(self, headers: Any, status: int) -> None:
        linked = "X-Linked-Etag" in headers
        if status >= 300 and not linked:
            # That of a page that points elsewhere, or of a refusal.
            headers.pop("ETag", None)
            return
        etag = headers.get("X-Linked-Etag") or headers.get("ETag", "")
        # As huggingface_hub takes an etag apart.
        if etag.lstrip("W/").strip('"') != self._entry.etag:
            raise _other("ETag")
        if headers.get("X-Repo-Commit", self._commit) != self._commit:
            raise _other("commit")
        size = headers.get("X-Linked-Size") or (None if status >= 300 else headers.get("Content-Length"))
        if size is not None and size.strip() != str(self._entry.size):
            raise _other("size")

    def _hold_part(self, response: Any) -> int:
        asked = response.request.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-")
        start, size = int(asked), self._entry.size
        said = CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if response.status_code == 206:
            if said is None or tuple(map(int, said.groups())) != (start, size - 1, size):
                raise _other("part")
        elif start:
            raise RemoteError("the download was interrupted, and the server cannot resume it")
        elif response.headers.get("Content-Length", str(size)) != str(size) or "Content-Range" in response.headers:
            raise _other("size")
        return size - start


def _other(what: str) -> RemoteError:
    return RemoteError(f"the server sent a different {what} than it lists", hint="try again")


def _unless_ours(_: logging.LogRecord) -> bool:
    """What it warns of on the way is not shown: what fails in the end is told in our words."""
    return current() is None


def _bar(received: Callable[[float], None]) -> type[Silent]:
    """A bar that tells of bytes; a restart counts back."""
    return type("Bar", (Silent,), {"update": lambda _, count=1: received(count or 0)})


class Silent:
    """What huggingface_hub takes for a progress bar; nothing is shown."""

    def __init__(self, *_: Any, **options: Any) -> None:
        self.total = options.get("total")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def update(self, received: float | None = 1) -> None:
        """So many bytes more."""

    def close(self) -> None:
        """The file is complete."""

    def set_postfix_str(self, text: str, refresh: bool = True) -> None:  # noqa: FBT001, FBT002 - the name is theirs
        """How fast it goes."""
