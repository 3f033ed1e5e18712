"""Calls in threads that never keep the process alive, whatever they wait for."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from weightscope.errors import RemoteError, Where

T = TypeVar("T")

# Seconds that calls under way are waited for at the end: enough to remove what they half wrote.
GRACE = 1.5


class Background:
    """At most so many calls at a time, each in a daemon thread.

    A ThreadPoolExecutor waits for its threads when the process ends, so that a slow server would hold up Ctrl-C.
    """

    def __init__(self, threads: int) -> None:
        self._most = threads
        self._lock = threading.Lock()
        self._waiting: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._running: set[threading.Thread] = set()

    def submit(self, call: Callable[..., T], *arguments: Any) -> Future[T]:
        """What the call will give."""
        future: Future[T] = Future()
        with self._lock:
            self._waiting.append((future, lambda: call(*arguments)))
            if len(self._running) < self._most:
                thread = threading.Thread(target=self._work, name="weightscope-network", daemon=True)
                self._running.add(thread)
                thread.start()
        return future

    def cancel(self) -> None:
        """Begin no more calls."""
        with self._lock:
            waiting, self._waiting = self._waiting, deque()
        for future, _ in waiting:
            future.cancel()

    def close(self, grace: float = GRACE) -> bool:
        """Begin no more calls and wait a moment for those under way; whether all have ended."""
        self.cancel()
        with self._lock:
            running = list(self._running)
        end = time.monotonic() + grace
        for thread in running:
            thread.join(max(0.0, end - time.monotonic()))
        return not any(thread.is_alive() for thread in running)

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._running.discard(threading.current_thread())
                    return
                future, call = self._waiting.popleft()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = call()
            except BaseException as error:  # noqa: BLE001 - whoever waits for the result gets it
                future.set_exception(error)
            else:
                future.set_result(result)


def within(seconds: float, call: Callable[[], T], where: Where) -> T:
    """What a call gives that nothing else bounds; after so long it is left to itself.

    Raises:
        RemoteError: it takes longer.
    """
    future = Background(1).submit(call)
    try:
        return future.result(seconds)
    except TimeoutError:
        if future.done():
            raise
        raise RemoteError("no answer in time", where=where, hint="try again later") from None
