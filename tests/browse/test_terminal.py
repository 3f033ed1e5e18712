"""The command itself: what it needs, and a terminal that is left as it was."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
from typing import Any

import pytest

from tests.browse.session import LLAMA, ROOT
from tests.browse.terminal import Terminal

COMMAND = [sys.executable, "-m", "weightscope", "browse", str(LLAMA)]
ENVIRONMENT = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "TERM")}


@pytest.mark.parametrize(
    ("end", "code"), [(b"q", 0), (b"\x03", 130), (signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)]
)
def test_the_terminal_is_left_as_it_was(end: bytes | signal.Signals, code: int) -> None:
    terminal = Terminal(COMMAND, ENVIRONMENT)
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
    terminal = Terminal(COMMAND, ENVIRONMENT | {"NO_COLOR": "1"})
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
    terminal = Terminal([sys.executable, "-c", fault], ENVIRONMENT)
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
    terminal = Terminal(COMMAND, ENVIRONMENT | {"TERM": "dumb"})
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
