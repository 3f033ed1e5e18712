"""Ctrl-C: it ends a command once, and again only if the first went by unheard."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType

# Seconds that a command may take to end. Whoever presses twice means no more than once.
ENDING = 3.0

_last = -ENDING


def watch_interrupts() -> None:
    """Take interrupts from now on, unless somebody took them before or they are ignored."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        _take(_interrupt)


def ignore_interrupts() -> None:
    """The command has ended, and there is nothing left to interrupt."""
    _take(signal.SIG_IGN)


def _take(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
    # Only the main thread may; a program that runs the command in another has interrupts of its own.
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, handler)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    global _last  # noqa: PLW0603 - a signal belongs to the process
    now = time.monotonic()
    if now - _last >= ENDING:
        _last = now
        raise KeyboardInterrupt
