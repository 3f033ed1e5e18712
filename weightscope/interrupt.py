"""Ctrl-C ends the process at once, with one line and exit code 130, whatever its threads wait for."""

from __future__ import annotations

import _thread
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

# 128 and the number of SIGINT, as shells have it.
INTERRUPTED = 130
LINE = b"weightscope: interrupted\n"
# A terminal's line may hold the ^C that it shows or half a progress bar, which hides the cursor.
CLEAN_LINE = b"\r\x1b[2K\x1b[?25h"

_cleaning: list[Callable[[], None]] = []
_stopping: list[Callable[[], object]] = []


def end_on_interrupt() -> None:
    """From now on SIGINT ends the process; left alone where it is ignored (nohup) or somebody else's.

    On Windows KeyboardInterrupt stays: Python has no pipe for signals there.

    A thread of its own waits for the signal: the main one hears of it only between two steps of Python, and a name
    server or a large product of matrices can take long.
    """
    if os.name != "posix" or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        return
    with suppress(ValueError):  # a thread other than the main one has no say in signals
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGINT, lambda *_: None)
        _thread.start_new_thread(_wait, (reader,))


@contextmanager
def cleaning(clean: Callable[[], None]) -> Iterator[None]:
    """While something half-written lies about: `clean` removes it if Ctrl-C comes."""
    _cleaning.append(clean)
    try:
        yield
    finally:
        _cleaning.remove(clean)


@contextmanager
def unfinished(path: str | os.PathLike[str]) -> Iterator[None]:
    """While a file is written: it is removed if Ctrl-C comes."""
    name = os.fspath(path)
    # pathlib may not be imported yet.
    with cleaning(lambda: os.unlink(name)):  # noqa: PTH108
        yield


@contextmanager
def stopping(stop: Callable[[], object]) -> Iterator[None]:
    """While what is known so far is worth showing: the first Ctrl-C calls `stop`, the next ends the process."""
    _stopping.append(stop)
    try:
        yield
    except KeyboardInterrupt:
        # Where no thread waits for the signal.
        stop()
    finally:
        if stop in _stopping:
            _stopping.remove(stop)


def _wait(reader: int) -> None:
    while signals := os.read(reader, 64):
        if signal.SIGINT in signals:
            if _stopping and signals.count(signal.SIGINT) == 1:
                _stopping.pop()()
            else:
                _end()


def _end() -> None:
    for clean in _cleaning:
        with suppress(OSError):
            clean()
    with suppress(OSError, ValueError, AttributeError):
        stream = sys.stderr.fileno()
        terminal = os.isatty(stream) and os.environ.get("TERM") != "dumb"
        os.write(stream, (CLEAN_LINE if terminal else b"") + LINE)
    os._exit(INTERRUPTED)
