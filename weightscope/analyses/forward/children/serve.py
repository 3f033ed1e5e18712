"""The script of a child process: limits itself, then answers requests until its standard input ends.

Run as `python -I -S -B serve.py KIND LIBRARY_FOLDER MEMORY`; `forward/child.py` starts it.
"""

from __future__ import annotations

import contextlib
import faulthandler
import importlib
import math
import os
import signal
import struct
import sys

# Bytes of the payload that follows, seconds of processor time that the request may take, seconds by the clock.
REQUEST = struct.Struct("<Qdd")
# 0 for an answer, 1 for a reason why there is none; bytes of the payload that follows.
ANSWER = struct.Struct("<BQ")
# Characters of a reason, of up to four bytes each.
MAX_REASON = 300
BROKEN = 3


def limit(memory: int) -> None:
    """Bound memory, and write no file. macOS does not enforce the first, Windows has neither."""
    try:
        import resource
    except ImportError:
        return
    for kind, most in (("RLIMIT_AS", memory), ("RLIMIT_CORE", 0), ("RLIMIT_FSIZE", 0)):
        with contextlib.suppress(AttributeError, OSError, ValueError):
            lower(getattr(resource, kind), most)


def allow(seconds: float) -> None:
    """Bound the processor time of the whole process so far. Windows has no such limit."""
    try:
        import resource
    except ImportError:
        return
    with contextlib.suppress(OSError, ValueError):
        lower(resource.RLIMIT_CPU, math.ceil(seconds))


def lower(number: int, most: int) -> None:
    """Set a limit of this process, which a harder one may have come before."""
    import resource

    hard = resource.getrlimit(number)[1]
    resource.setrlimit(number, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def reason(error: BaseException) -> bytes:
    """Why there is no answer, in a line."""
    text = str(error) or type(error).__name__
    if type(error).__name__ == "PanicException":
        text = f"the library panicked: {text}"
    if isinstance(error, MemoryError):
        text = "out of memory"
    return text[:MAX_REASON].encode("utf-8", "backslashreplace")


def main() -> None:
    """Answer requests in their order."""
    kind, library, memory = sys.argv[1:4]
    requests = sys.stdin.buffer
    answers = os.fdopen(os.dup(1), "wb")
    # What a library prints must not pass for an answer.
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    # Python's own handler would wait for a library to return.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    limit(int(memory))
    sys.path += [os.path.dirname(os.path.abspath(__file__)), library]  # noqa: PTH100, PTH120 - pathlib costs 10 ms
    handle = None
    seconds = 0.0
    while len(head := requests.read(REQUEST.size)) == REQUEST.size:
        size, more, wall = REQUEST.unpack(head)
        seconds += more
        allow(seconds)
        # A thread of C that needs no lock of Python's: it ends the process whatever a library does.
        faulthandler.dump_traceback_later(wall, exit=True, file=silence)
        try:
            payload = requests.read(size)
            handle = handle or importlib.import_module(kind).handle
            status, answer = 0, handle(payload)
        except BaseException as error:  # noqa: BLE001 - a panic of Rust is no Exception
            status, answer = 1, reason(error)
        faulthandler.cancel_dump_traceback_later()
        answers.write(ANSWER.pack(status, len(answer)) + answer)
        answers.flush()


if __name__ == "__main__":
    try:
        main()
    except BaseException:  # noqa: BLE001 - whoever asked sees that the process ended, and says so
        os._exit(BROKEN)
