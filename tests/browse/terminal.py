"""A pseudo-terminal with a command in it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence

from tests.browse.session import ROOT

# What Textual switches on must be switched off again: another screen, reports of the mouse, the cursor hidden.
PAIRS = [(b"\x1b[?1049h", b"\x1b[?1049l"), (b"\x1b[?1000h", b"\x1b[?1000l"), (b"\x1b[?25l", b"\x1b[?25h")]


class Terminal:
    """80×24; `environment` is that of the command."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str] = os.environ) -> None:
        self.ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.settings = termios.tcgetattr(theirs)
        self.theirs = theirs
        self.process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=ROOT, start_new_session=True,
            env={"TERM": "xterm-256color"} | dict(environment),
        )  # fmt: skip
        self.written = b""

    def until(self, text: bytes, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while text not in self.written:
            assert time.monotonic() < end, self.written[-2000:]
            self._read(0.1)

    def _read(self, seconds: float) -> bool:
        """Keep what is written next; False where nothing comes in time."""
        if not select.select([self.ours], [], [], seconds)[0]:
            return False
        self.written += os.read(self.ours, 1 << 16)
        return True

    def press(self, keys: bytes) -> None:
        os.write(self.ours, keys)

    def ends(self) -> int:
        end = time.monotonic() + 60
        while self.process.poll() is None:
            assert time.monotonic() < end
            self._read(0.1)
        while self._read(0.2):
            pass
        return self.process.returncode

    def is_as_it_was(self) -> bool:
        off = all(self.written.rfind(on) < self.written.rfind(off) for on, off in PAIRS)
        return off and termios.tcgetattr(self.theirs) == self.settings

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.ours)
        os.close(self.theirs)
