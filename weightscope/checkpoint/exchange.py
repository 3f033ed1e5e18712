"""What one exchange with a server may take, in seconds and bytes, over all its redirects and repetitions.

The client bounds each wait, and a server that sends a byte now and then never exceeds that. So the limits are held
where bytes are waited for: at the connection, which the client hands out as it is made (its `trace` extension).
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Protocol

from weightscope.checkpoint.hub_settings import settings
from weightscope.errors import RemoteError

# A header or small file must have come after so many seconds, and one more for each so many bytes that came.
SECONDS = 30.0
LEAST_RATE = 50_000
# Of a download, so many bytes must come in each period of so many seconds: 10 kB a second.
PERIOD = 60.0
LEAST_BYTES = 600_000
# Bytes of what was not asked for: an answer's headers, the text of a redirect or of a refusal.
MAX_ASIDE = 1_000_000

_here = threading.local()


class Pace(Protocol):
    """How fast a server must be."""

    def end(self, received: int) -> float:
        """When the next byte must have come, as `time.monotonic` counts, if so many have come."""
        ...


class Deadline:
    """All of it within a time that grows with what came."""

    def __init__(self) -> None:
        # Whoever sets a longer wait for each answer knows of a slow server.
        self._end: float = time.monotonic() + max(SECONDS, settings().HF_HUB_DOWNLOAD_TIMEOUT)

    def end(self, received: int) -> float:
        """That time."""
        return self._end + received / LEAST_RATE


class Throughput:
    """No end, as long as enough comes in each period."""

    def __init__(self) -> None:
        self._since, self._from = time.monotonic(), 0

    def end(self, received: int) -> float:
        """The end of a period in which too little has come so far."""
        if received - self._from >= LEAST_BYTES:
            self._since, self._from = time.monotonic(), received
        return self._since + PERIOD


class Exchange:
    """Requests of one thread that belong together; another thread may `cut` them.

    `expects` tells of an answer how many bytes its body has, and raises where the answer is not what was asked for.
    """

    def __init__(self, pace: Pace, expects: Callable[[Any], int]) -> None:
        self._pace = pace
        self._expects = expects
        self._received = 0
        self._most = MAX_ASIDE
        self._answered = False
        self._is_cut = threading.Event()
        # The connection that is waited for at the moment.
        self.socket: socket.socket | None = None

    def left(self) -> float:
        """Seconds that are left.

        Raises:
            RemoteError: none, or it was cut.
        """
        if self._is_cut.is_set():
            raise RemoteError("cancelled")
        left = self._pace.end(self._received) - time.monotonic()
        if left <= 0:
            late = "the server sends too slowly" if self._answered else "the server does not answer in time"
            raise RemoteError(late)
        return left

    def wait(self, seconds: float) -> None:
        """Pause before a repetition.

        Raises:
            RemoteError: no time is left for it, or it was cut.
        """
        self._is_cut.wait(min(seconds, self.left()))
        self.left()

    def cut(self) -> None:
        """Nobody waits for it any more: whatever it waits for ends."""
        self._is_cut.set()
        _shut(self.socket)

    @contextmanager
    def limited(self) -> Iterator[None]:
        """Requests of this thread keep to these limits, where the client has the `HOOKS`."""
        _here.exchange = self
        try:
            yield
        finally:
            _here.exchange = None

    def read(self, stream: Any, read: Callable[..., bytes], most: int, timeout: float | None) -> bytes:
        """Bytes from a connection, waited for no longer than is left."""
        self.socket = stream.get_extra_info("socket")
        try:
            left = self.left()
            data = read(most, left if timeout is None else min(timeout, left))
        except Exception:
            self.left()
            raise
        finally:
            self.socket = None
        self._received += len(data)
        if self._received > self._most:
            raise RemoteError("the server sent more data than requested")
        self.left()
        return data

    def sending(self, request: Any) -> None:
        """Bound the waits of a request, and ask for bytes as they are."""
        most = min(self.left(), settings().HF_HUB_DOWNLOAD_TIMEOUT)
        given = request.extensions.get("timeout") or {}
        waits = ("connect", "read", "write", "pool")
        request.extensions["timeout"] = {wait: min(given.get(wait) or most, most) for wait in waits}
        request.extensions["trace"] = _Connecting(self, request.method)
        request.headers["Accept-Encoding"] = "identity"
        self._most = self._received + MAX_ASIDE

    def answered(self, response: Any) -> None:
        """Bound the body of an answer by what it should be; whoever reads it may expand nothing."""
        coded = response.headers.get("Content-Encoding", "identity").strip().lower() != "identity"
        if response.status_code < 300 and coded and response.request.method != "HEAD":
            raise RemoteError("the server sent compressed data, although none was requested", hint="download the file")
        # Neither is needed, and reading them takes long where they are made for that.
        for name in ("Content-Encoding", "Content-Disposition"):
            response.headers.pop(name, None)
        expected = self._expects(response)
        self._answered = response.status_code < 300
        # Chunks have lengths of their own.
        self._most = self._received + expected + expected // 8 + MAX_ASIDE


def current() -> Exchange | None:
    """The exchange that this thread is in."""
    return getattr(_here, "exchange", None)


class _Connecting:
    """Told by the client what it does; takes each new connection into the exchange that reads from it."""

    def __init__(self, exchange: Exchange, method: str) -> None:
        self._exchange = exchange
        self._method = method
        self._stream: Any = None
        self._timer: threading.Timer | None = None

    def __call__(self, event: str, info: dict[str, Any]) -> None:
        _, _, what = event.partition(".")
        if what in ("connect_tcp.complete", "start_tls.complete"):
            self._stream = info["return_value"]
            _take(self._stream)
        if what == "start_tls.started":
            self._begin_handshake()
        elif what.startswith("start_tls."):
            self._end_handshake()
        # huggingface_hub would go on with a session that nothing here watches.
        if what in ("connect_tcp.failed", "start_tls.failed") and self._method == "HEAD":
            raise RemoteError(f"the server cannot be reached ({info['exception']})") from None

    def _begin_handshake(self) -> None:
        """A handshake bounds each of its waits only, and takes the socket over: another handle on it can end it."""
        found = self._stream.get_extra_info("socket") if self._stream is not None else None
        if found is not None:
            self._exchange.socket = found.dup()
            self._timer = threading.Timer(self._exchange.left(), _shut, (self._exchange.socket,))
            self._timer.daemon = True
            self._timer.start()

    def _end_handshake(self) -> None:
        if self._timer is not None and self._exchange.socket is not None:
            self._timer.cancel()
            self._exchange.socket.close()
            self._exchange.socket, self._timer = None, None
        self._exchange.left()


def _take(stream: Any) -> None:
    read = stream.read

    def limited(most: int, timeout: float | None = None) -> bytes:
        exchange = current()
        data: bytes = exchange.read(stream, read, most, timeout) if exchange else read(most, timeout)
        return data

    stream.read = limited


def _shut(found: socket.socket | None) -> None:
    """End whatever another thread waits for on a connection."""
    if found is not None:
        # Not an encrypted socket's own `shutdown`, which takes the encryption away under the other thread's hands.
        with suppress(OSError):
            socket.socket.shutdown(found, socket.SHUT_RDWR)


def _sending(request: Any) -> None:
    if exchange := current():
        exchange.sending(request)


def _answered(response: Any) -> None:
    if exchange := current():
        exchange.answered(response)


# What a client calls before each request and after each answer.
HOOKS: Mapping[str, list[Callable[[Any], None]]] = {"request": [_sending], "response": [_answered]}
