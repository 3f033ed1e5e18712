"""The command itself: what it needs, and a terminal that is left as it was."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from typing import Any

import pytest

from tests.browse.session import LLAMA, ROOT

COMMAND = [sys.executable, "-m", "weightscope", "browse", str(LLAMA)]
# What Textual switches on must be switched off again: another screen, reports of the mouse, the cursor hidden.
PAIRS = [(b"\x1b[?1049h", b"\x1b[?1049l"), (b"\x1b[?1000h", b"\x1b[?1000l"), (b"\x1b[?25l", b"\x1b[?25h")]


class Terminal:
    """A pseudo-terminal of 80×24 with the command in it."""

    def __init__(self, **environment: str) -> None:
        self.ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.settings = termios.tcgetattr(theirs)
        self.theirs = theirs
        env = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
        self.process = subprocess.Popen(
            COMMAND, stdin=theirs, stdout=theirs, stderr=theirs, cwd=ROOT, start_new_session=True,
            env=env | {"TERM": "xterm-256color"} | environment,
        )  # fmt: skip
        self.written = b""

    def until(self, text: bytes, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while text not in self.written:
            assert time.monotonic() < end, self.written[-2000:]
            if select.select([self.ours], [], [], 0.1)[0]:
                self.written += os.read(self.ours, 1 << 16)

    def press(self, keys: bytes) -> None:
        os.write(self.ours, keys)

    def ends(self) -> int:
        end = time.monotonic() + 60
        while self.process.poll() is None:
            assert time.monotonic() < end
            if select.select([self.ours], [], [], 0.1)[0]:
                self.written += os.read(self.ours, 1 << 16)
        while select.select([self.ours], [], [], 0.2)[0]:
            self.written += os.read(self.ours, 1 << 16)
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


@pytest.mark.parametrize(
    ("end", "code"), [(b"q", 0), (b"\x03", 130), (signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)]
)
def test_the_terminal_is_left_as_it_was(end: bytes | signal.Signals, code: int) -> None:
    terminal = Terminal()
    try:
        terminal.until(b"embedding")
        terminal.until(b"Quit")
        terminal.press(b"j")
        if isinstance(end, bytes):
            terminal.press(end)
        else:
            terminal.process.send_signal(end)
        assert terminal.ends() == code
        assert terminal.is_as_it_was()
        assert b"Traceback" not in terminal.written
    finally:
        terminal.close()


def test_no_color_is_honoured() -> None:
    terminal = Terminal(NO_COLOR="1")
    try:
        terminal.until(b"embedding")
        terminal.press(b"q")
        assert terminal.ends() == 0
        # Only greys: red, green and blue are alike.
        colours = {
            tuple(part.split(b";")[2:5]) for part in terminal.written.split(b"\x1b[") if part.startswith(b"38;2;")
        }
        assert all(len(set(colour)) == 1 for colour in colours)
    finally:
        terminal.close()


def test_a_fault_of_our_own_is_a_line() -> None:
    fault = (
        "import weightscope.browse.panes as panes\n"
        "def fail(*_): raise ValueError('made for this test')\n"
        "panes.Panes.action_sort = fail\n"
        f"import sys; sys.argv = ['weightscope', 'browse', {str(LLAMA)!r}]\n"
        "from weightscope.cli import main\nmain()"
    )
    original, COMMAND[1:] = COMMAND[1:], ["-c", fault]
    terminal = Terminal()
    COMMAND[1:] = original
    try:
        terminal.until(b"embedding")
        terminal.press(b"s")
        assert terminal.ends() == 2
        assert terminal.is_as_it_was()
        assert b"internal error (ValueError: made for this test)" in terminal.written
        assert b"Traceback" not in terminal.written
    finally:
        terminal.close()


def test_without_a_terminal_a_line_says_so(run: Any) -> None:
    code, out, err = run("browse", LLAMA)
    assert (code, out) == (2, "")
    assert err == "weightscope: browse needs a terminal; inspect, tensors and explain print to pipes and files\n"


@pytest.mark.parametrize("stream", ["stdin", "stdout", "stderr"])
def test_every_standard_stream_must_be_the_terminal(stream: str) -> None:
    ours, theirs = pty.openpty()
    try:
        streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs} | {stream: subprocess.PIPE}
        process = subprocess.Popen(COMMAND, cwd=ROOT, env=os.environ | {"TERM": "xterm"}, **streams)  # type: ignore[call-overload]
        out, err = process.communicate(timeout=60)
        said = (err or out or b"") + (os.read(ours, 1000) if select.select([ours], [], [], 0)[0] else b"")
        assert process.returncode == 2
        assert b"browse needs a terminal" in said
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_terminal_without_a_cursor_is_refused() -> None:
    terminal = Terminal(TERM="dumb")
    try:
        assert terminal.ends() == 2
        assert b"browse needs a terminal" in terminal.written
    finally:
        terminal.close()


def test_without_textual_a_line_says_how_to_have_it(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "textual", None)
    code, out, err = run("browse", LLAMA)
    assert (code, out) == (2, "")
    assert err == "weightscope: browse needs Textual; pip install 'weightscope-cli[browse]'\n"


@pytest.mark.parametrize("arguments", [["--help"], ["browse", "--help"], ["inspect", str(LLAMA)]])
def test_textual_is_imported_by_nothing_else(arguments: list[str]) -> None:
    code = (
        f"import sys; sys.argv = ['weightscope', *{arguments!r}]\n"
        "from weightscope.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print('textual' in sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stderr == "False\n"
