"""Requests for files and parts of files over HTTP, through huggingface_hub's session: bounded, and repeated."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import msgspec

from weightscope.checkpoint.claims import etag_of, number
from weightscope.checkpoint.clients import Clients
from weightscope.checkpoint.exchange import HOOKS, Deadline, Exchange
from weightscope.checkpoint.failures import LOST, ClientError, InvalidURL, failure, is_unresolved, refusal, transport
from weightscope.checkpoint.hub_settings import settings
from weightscope.errors import RemoteError, Where

T = TypeVar("T")

BUSY = (408, 429, 500, 502, 503, 504)
# Seconds before each repetition; a server that asks for more patience than this gets none.
WAITS = (0.3, 1.0, 3.0)
MAX_WAIT = 10.0
CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19})")
BEYOND = re.compile(r"bytes \*/([0-9]{1,19})")


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a file, with the whole's size and what names its content; `data` is None where that is unchanged."""

    data: bytes | None
    size: int
    etag: str


class Same:
    """Sees to it that all pieces are of one file: it may change between two requests."""

    def __init__(self, where: Where) -> None:
        self._where = where
        self._first: tuple[int, str] | None = None

    def checked(self, piece: Piece) -> bytes:
        """The piece's bytes.

        Raises:
            RemoteError: its file has another size or ETag than the first piece's.
        """
        this = (piece.size, piece.etag)
        self._first = self._first or this
        if this != self._first:
            raise RemoteError("the file changed while it was read", where=self._where, hint="try again")
        return piece.data or b""


class _AgainError(Exception):
    """An attempt failed in a way that may pass."""

    def __init__(self, what: str, after: float = 0.0) -> None:
        super().__init__(what)
        self.after = after


class Wire:
    """The way to servers; what is under way ends when it is `cut`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._live: set[Exchange] = set()
        self._clients = Clients(HOOKS)

    def cut(self) -> None:
        """Nobody waits any more for the answers that are due."""
        with self._lock:
            live = list(self._live)
        for exchange in live:
            exchange.cut()
        self._clients.close()

    @contextmanager
    def live(self, exchange: Exchange) -> Iterator[None]:
        """Requests of this thread belong to an exchange that ends when the wire is cut."""
        with self._lock:
            self._live.add(exchange)
        try:
            with exchange.limited():
                yield
        finally:
            with self._lock:
                self._live.discard(exchange)

    def get(
        self, url: str, start: int, stop: int, *, where: Where, headers: Mapping[str, str] | None = None, etag: str = ""
    ) -> Piece:
        """Bytes `start` to `stop` of a file, or fewer where it ends before; none if it still has this `etag`.

        Raises:
            RemoteError: they cannot be had, or the server does not send what it says.
        """
        sent = {**(headers or {}), "Range": f"bytes={start}-{stop - 1}"}
        if etag:
            sent["If-None-Match"] = etag
        return self._persist(lambda: _part(self._clients, url, start, stop, sent, where), stop - start, where)

    def all(self, url: str, limit: int, *, where: Where, headers: Mapping[str, str] | None = None) -> bytearray:
        """All that a server answers.

        Raises:
            RemoteError: it cannot be had, or is more than `limit` bytes.
        """
        return self._persist(lambda: _all(self._clients, url, limit, headers or {}, where), limit, where)

    def _persist(self, attempt: Callable[[], T], limit: int, where: Where) -> T:
        """What the attempt gives, made again after a while where it failed in a way that may pass.

        Raises:
            RemoteError: it failed for good, or too often, or takes too long.
        """
        exchange = Exchange(Deadline(), lambda response: limit if response.status_code < 300 else 0)
        with self.live(exchange):
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
                    try:
                        exchange.wait(max(wait, again.after))
                    except RemoteError as over:
                        raise failure(over, where) from None
        raise AssertionError


def asks_to_wait(headers: Mapping[str, str]) -> float:
    """Seconds that a server asks to be left alone for; 0 where it does not say."""
    return float(number(headers.get("Retry-After", "").strip()) or 0)


@contextmanager
def _asked(clients: Clients, url: str, headers: Mapping[str, str], where: Where) -> Iterator[Any]:
    """The answer to one request, its body still to come; redirects are followed, and to another host without token."""
    if settings().HF_HUB_OFFLINE:
        raise RemoteError("is not in the local cache, and HF_HUB_OFFLINE is set", where=where)
    try:
        with clients.lent() as client, client.stream("GET", url, headers=dict(headers)) as response:
            if response.status_code in BUSY:
                raise _AgainError(f"the server answers {response.status_code}", asks_to_wait(response.headers))
            yield response
    except RemoteError as error:
        raise (error if error.where else failure(error, where)) from None
    except ClientError as error:
        if type(error).__name__ in LOST or is_unresolved(error):
            raise failure(error, where) from None
        raise _AgainError(transport(error)) from None
    except (InvalidURL, ValueError) as error:
        raise RemoteError(f"the request cannot be sent ({error})", where=where, hint="check the address") from None


def _part(clients: Clients, url: str, start: int, stop: int, headers: Mapping[str, str], where: Where) -> Piece:
    with _asked(clients, url, headers, where) as response:
        if response.status_code == 304 and "If-None-Match" in headers:
            return Piece(data=None, size=0, etag=headers["If-None-Match"])
        if response.status_code >= 300:
            if (size := _beyond(response)) is not None:
                return Piece(data=b"", size=size, etag="")
            raise refusal(response.status_code, response.headers, where)
        size, expected = _promised(response, start, stop, where)
        data = _body(response.iter_raw(), expected, where)
        if len(data) < expected:
            raise _AgainError(f"only {len(data):,} of {expected:,} bytes were received")
        return Piece(data=bytes(data), size=size, etag=etag_of(response.headers.get("ETag", "")))


def _all(clients: Clients, url: str, limit: int, headers: Mapping[str, str], where: Where) -> bytearray:
    with _asked(clients, url, headers, where) as response:
        if response.status_code >= 300:
            raise refusal(response.status_code, response.headers, where)
        return _body(response.iter_raw(), limit, where)


def _beyond(response: Any) -> int | None:
    """The size of a file that ends before the first byte that was asked for."""
    said = BEYOND.fullmatch(response.headers.get("Content-Range", ""))
    return number(said[1]) if response.status_code == 416 and said else None


def _promised(response: Any, start: int, stop: int, where: Where) -> tuple[int, int]:
    """The file's size, and how many bytes are coming; anything but what was asked for is refused."""
    said = CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if response.status_code == 206 and said:
        first, last, size = (number(text) for text in said.groups())
        if first == start and size is not None and last == min(stop, size) - 1:
            return size, last + 1 - first
    elif response.status_code == 200:
        length = number(response.headers.get("Content-Length", ""))
        # The whole file is what was asked for, where it is no longer than that.
        if start == 0 and length is not None and length <= stop:
            return length, length
        raise RemoteError("the server ignores ranges and would send the whole file", where=where, hint="download it")
    raise RemoteError(
        "the server sent a different part of the file than requested", where=where, hint="download the file"
    )


def _body(chunks: Iterator[bytes], limit: int, where: Where) -> bytearray:
    received = bytearray()
    for chunk in chunks:
        received += chunk
        if len(received) > limit:
            raise RemoteError("the server sent more data than requested", where=where, hint="try again later")
    return received
