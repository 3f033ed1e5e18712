"""Start and end of the browser: what it needs, and a terminal that is left as it was."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING

from weightscope import interrupt
from weightscope.errors import UsageError, WeightscopeError

if TYPE_CHECKING:
    from weightscope.api.model import Model

# Exit code for SIGTERM, as shells have it.
TERMINATED = 128 + signal.SIGTERM
# What a full-screen application may have switched on: reports of the mouse, pastes in brackets, another screen, no
# cursor, keys as sequences.
RESTORED = b"\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1015l\x1b[?2004l\x1b[<u\x1b[?1049l\x1b[?25h"


def need_terminal() -> None:
    """See that there is somebody to press keys.

    Raises:
        UsageError: a standard stream is no terminal, or it is one that cannot move its cursor.
    """
    # Textual writes to standard error.
    streams = (sys.stdin, sys.stdout, sys.stderr)
    if not all(stream is not None and stream.isatty() for stream in streams) or os.environ.get("TERM") == "dumb":
        raise UsageError("browse needs a terminal", hint="inspect, tensors and explain print to pipes and files")


def need_textual() -> None:
    """See that Textual is installed, without importing it.

    Raises:
        WeightscopeError: it is not.
    """
    if find_spec("textual") is None:
        raise WeightscopeError("browse needs Textual", hint="pip install 'weightscope-cli[browse]'")


def run(model: Model) -> None:
    """Show the model until the user leaves.

    Raises:
        KeyboardInterrupt: the user left by Ctrl-C.
    """
    from weightscope.browse.app import BrowseApp

    app = BrowseApp(model)
    # The command line runs without it, because a run is short; this one may last for hours.
    gc.freeze()
    gc.enable()
    signal.signal(signal.SIGTERM, lambda *_: app.end_soon(TERMINATED))
    with _restored(), interrupt.stopping(lambda: app.end_soon(interrupt.INTERRUPTED)):
        app.run()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if app.failure is not None:
        raise app.failure
    if app.return_code == TERMINATED:
        os.kill(os.getpid(), signal.SIGTERM)
    if app.return_code == interrupt.INTERRUPTED:
        raise KeyboardInterrupt


@contextmanager
def _restored() -> Iterator[None]:
    """Give the terminal back as it was, also where Ctrl-C ends the process at once."""
    # On Windows nothing ends the process at once.
    if os.name != "posix":
        yield
        return
    import termios

    stream = sys.stdin.fileno()
    saved = termios.tcgetattr(stream)

    def restore() -> None:
        with suppress(termios.error):
            termios.tcsetattr(stream, termios.TCSANOW, saved)
        os.write(sys.stderr.fileno(), RESTORED)

    with interrupt.cleaning(restore):
        yield
