"""Long results on a terminal, a screen at a time, by the user's PAGER or else less."""

from __future__ import annotations

import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def show(text: str) -> None:
    """Write text to standard output, through a pager where that is a terminal with fewer lines."""
    if not _is_wanted(text):
        sys.stdout.write(text)
        return
    import click

    sys.stdout.flush()
    with _interrupts_are_the_pager_s():
        try:
            click.echo_via_pager(text.removesuffix("\n"))
        except ValueError:
            # A PAGER that is no command line, as with an unclosed quote.
            sys.stdout.write(text)


def _is_wanted(text: str) -> bool:
    if not (sys.stdin and sys.stdin.isatty() and sys.stdout.isatty()):
        return False
    return text.count("\n") >= shutil.get_terminal_size().lines


@contextmanager
def _interrupts_are_the_pager_s() -> Iterator[None]:
    """Ctrl-C stops a search in less; if it ended this process, less would be left with half a terminal."""
    wakes = signal.set_wakeup_fd(-1)
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
