"""Requests for parts of files over HTTP, through huggingface_hub's session: bounded in bytes and time, and repeated."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import msgspec
from huggingface_hub import constants
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled
from huggingface_hub.utils import get_session

from weightscope.errors import RemoteError, Where

T = TypeVar("T")

# The root of the errors of whichever HTTP client huggingface_hub uses.
ClientError: type[Exception] = next(base for base in HfHubHTTPError.__mro__ if base.__name__ == "HTTPError")
BUSY = (408, 429, 500, 502, 503, 504)
# Seconds before each repetition; a server that asks for more patience than this gets none.
WAITS = (0.3, 1.0, 3.0)
MAX_WAIT = 10.0
# A body may take this long, and longer if it comes at this rate: a server that trickles is one that stalls.
PATIENCE = 30.0
LEAST_RATE = 50_000
CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
LOGIN = "set HF_TOKEN, or log in with `hf auth login`"
# By the names that the client's errors have: what may pass, and what does not.
UNREACHABLE = ("ConnectError", "ProxyError")
LOST = {
    "UnsupportedProtocol": "the server points to what is no web address",
    "TooManyRedirects": "the server points from address to address without an end",
}
ABSENT = (
    "no such path here, and no such model on the Hub, or one that is private",
    f"check the spelling; for a private model, {LOGIN}",
)
# What the Hub says in its header X-Error-Code, and what others say in their status.
BY_CODE = {
    "GatedRepo": ("a gated model, and access to it is not granted", f"accept its terms on its page, and {LOGIN}"),
    "RevisionNotFound": ("there is no such revision", "a branch, a tag or a commit is one"),
    "EntryNotFound": ("there is no such file", "see the files on its page"),
    "RepoNotFound": ABSENT,
}
BY_STATUS = {
    401: ABSENT,
    403: ("access is forbidden", f"see what the token may do, or {LOGIN}"),
    404: ("there is nothing at this address", "check the spelling"),
}


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a file, with the whole's size and what names its content; `data` is None where that is unchanged."""

    data: bytes | None
    size: int
    etag: str


class AbsentError(RemoteError):
    """A server says that there is no such file."""


class _AgainError(Exception):
    """An attempt failed in a way that may pass."""

    def __init__(self, what: str, after: float = 0.0) -> None:
        super().__init__(what)
        self.after = after


class Wire:
    """The way to servers; what is under way ends when it is `cut`."""

    def __init__(self) -> None:
        self._cut = threading.Event()

    def cut(self) -> None:
        """No more repetitions: nobody waits for an answer."""
        self._cut.set()

    def _persist(self, attempt: Callable[[], T], where: Where) -> T:
        """What the attempt gives, made again after a while where it failed in a way that may pass.

        Raises:
            RemoteError: it failed for good, or too often.
        """
        for wait in (*WAITS, None):
            try:
                return attempt()
            except _AgainError as again:
                if wait is None:
                    times = f" ({len(WAITS) + 1} times)"
                    raise RemoteError(f"{again}{times}", where=where, hint="try again later") from None
                if again.after > MAX_WAIT:
                    raise RemoteError(
                        f"{again} and asks to wait {again.after:.0f} seconds", where=where, hint="try again then"
                    ) from None
                if self._cut.wait(max(wait, again.after)):
                    raise RemoteError("given up", where=where) from None
        raise AssertionError

    def get(
        self, url: str, start: int, stop: int, *, where: Where, headers: Mapping[str, str] | None = None, etag: str = ""
    ) -> Piece:
        """Bytes `start` to `stop` of a file, or fewer where it ends before; none if it still has this `etag`.

        Raises:
            RemoteError: they cannot be had, or the server does not send what it says.
        """
        sent = {**(headers or {}), "Range": f"bytes={start}-{stop - 1}", "Accept-Encoding": "identity"}
        if etag:
            sent["If-None-Match"] = etag
        return self._persist(lambda: _part(url, start, stop, sent, where), where)

    def all(self, url: str, limit: int, *, where: Where, headers: Mapping[str, str] | None = None) -> bytes:
        """All that a server answers.

        Raises:
            RemoteError: it cannot be had, or is more than `limit` bytes.
        """
        return self._persist(lambda: _all(url, limit, headers or {}, where), where)


@contextmanager
def _asked(url: str, headers: Mapping[str, str], where: Where) -> Iterator[Any]:
    """The answer to one request, its body still to come; redirects are followed, and to another host without token."""
    try:
        timeout = constants.HF_HUB_DOWNLOAD_TIMEOUT
        with get_session().stream("GET", url, headers=dict(headers), timeout=timeout) as response:
            if response.status_code in BUSY:
                after = response.headers.get("Retry-After", "")
                patience = float(after) if after.isdecimal() and len(after) < 9 else 0.0
                raise _AgainError(f"the server answers {response.status_code}", patience)
            yield response
    except OfflineModeIsEnabled:
        raise RemoteError("is not here, and HF_HUB_OFFLINE is set", where=where) from None
    except ClientError as error:
        if type(error).__name__ in LOST:
            raise failure(error, where) from None
        raise _AgainError(_transport(error)) from None


def _part(url: str, start: int, stop: int, headers: Mapping[str, str], where: Where) -> Piece:
    with _asked(url, headers, where) as response:
        if response.status_code == 304:
            return Piece(data=None, size=0, etag=headers["If-None-Match"])
        if response.status_code >= 300:
            if (size := _beyond(response)) is not None:
                return Piece(data=b"", size=size, etag="")
            raise refusal(response.status_code, response.headers, where)
        size, expected = _promised(response, start, stop, where)
        data = _body(response.iter_raw(), expected, where)
        if len(data) < expected:
            raise _AgainError(f"only {len(data):,} of {expected:,} bytes came")
        return Piece(data=data, size=size, etag=response.headers.get("ETag", ""))


def _all(url: str, limit: int, headers: Mapping[str, str], where: Where) -> bytes:
    with _asked(url, headers, where) as response:
        if response.status_code >= 300:
            raise refusal(response.status_code, response.headers, where)
        return _body(response.iter_bytes(), limit, where)


def _beyond(response: Any) -> int | None:
    """The size of a file that ends before the first byte that was asked for."""
    said = re.fullmatch(r"bytes \*/(\d+)", response.headers.get("Content-Range", ""))
    return int(said[1]) if response.status_code == 416 and said else None


def _promised(response: Any, start: int, stop: int, where: Where) -> tuple[int, int]:
    """The file's size, and how many bytes are coming; anything but what was asked for is refused."""
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise RemoteError("the server compresses what was asked for as it is", where=where, hint="download the file")
    said = CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if response.status_code == 206 and said:
        first, last, size = (int(number) for number in said.groups())
        if first == start and last == min(stop, size) - 1:
            return size, last + 1 - first
    elif response.status_code == 200:
        length = response.headers.get("Content-Length", "")
        # The whole file is what was asked for, where it is no longer than that.
        if start == 0 and length.isdecimal() and int(length) <= stop:
            return int(length), int(length)
        raise RemoteError("the server ignores ranges and would send the whole file", where=where, hint="download it")
    raise RemoteError(
        "the server sends another part of the file than was asked for", where=where, hint="download the file"
    )


def _body(chunks: Iterator[bytes], limit: int, where: Where) -> bytes:
    start = time.monotonic()
    received = bytearray()
    for chunk in chunks:
        received += chunk
        if len(received) > limit:
            raise RemoteError("the server sends more than was asked for", where=where, hint="try again later")
        if time.monotonic() - start > PATIENCE + len(received) / LEAST_RATE:
            raise _AgainError("the server sends too slowly")
    return bytes(received)


def _transport(error: BaseException) -> str:
    kind = type(error).__name__
    if kind in UNREACHABLE:
        return f"the server cannot be reached ({str(error) or kind})"
    return LOST.get(kind, "the server does not answer in time" if "Timeout" in kind else "the connection broke off")


def failure(error: BaseException, where: Where) -> RemoteError:
    """What huggingface_hub says of a failure, in a line."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, RemoteError):
            return RemoteError(seen.what, where=where, hint=seen.hint or "try again later")
        if isinstance(seen, OfflineModeIsEnabled):
            return RemoteError("is not in the local cache, and HF_HUB_OFFLINE is set", where=where)
        if (response := getattr(seen, "response", None)) is not None:
            return refusal(response.status_code, response.headers, where)
        if isinstance(seen, ClientError):
            return RemoteError(_transport(seen), where=where, hint="try again later")
        seen = seen.__cause__
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return RemoteError(f"cannot be fetched ({lines[0]})", where=where, hint="try again later")


def refusal(status: int, headers: Mapping[str, str], where: Where) -> RemoteError:
    """What an answer without content means."""
    code = headers.get("X-Error-Code", "")
    what, hint = BY_CODE.get(code) or BY_STATUS.get(status) or (f"the server answers {status}", "try again later")
    return (AbsentError if status in (404, 410) else RemoteError)(what, where=where, hint=hint)
