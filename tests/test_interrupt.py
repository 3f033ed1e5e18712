"""Ctrl-C, as a terminal sends it: at once, exit code 130, one line, and nothing half-written left."""

from __future__ import annotations

import os
import pty
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LINE = "weightscope: interrupted\n"
# Far less than what anything below waits for, and enough for a busy machine.
AT_ONCE = 10.0
# However these tests were started: a shell has SIGINT ignored for what runs in the background.
FOREGROUND = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
MAIN = "from weightscope.cli import main\nmain()\n"


def start(code: str, *arguments: str, cwd: Path = ROOT, **more: str) -> subprocess.Popen[str]:
    """Python running `code`."""
    return subprocess.Popen(
        [sys.executable, "-c", FOREGROUND + code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env={key: value for key, value in os.environ.items() if key != "HF_HUB_OFFLINE"} | more,
    )


def wait_for(path: Path) -> None:
    end = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < end
        time.sleep(0.02)


def interrupted(process: subprocess.Popen[str], *, times: int = 1) -> tuple[int, str]:
    """Exit code and standard error after so many of Ctrl-C."""
    started = time.monotonic()
    for _ in range(times):
        process.send_signal(signal.SIGINT)
    try:
        out, error = process.communicate(timeout=AT_ONCE)
    finally:
        process.kill()
    assert time.monotonic() - started < AT_ONCE
    assert out == ""
    return process.returncode, error


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        yield server


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("command", ["inspect", "check", "tensors"])
def test_while_a_server_is_silent(command: str, times: int, silent: socket.socket, tmp_path: Path) -> None:
    address = f"http://127.0.0.1:{silent.getsockname()[1]}/model.safetensors"
    process = start(MAIN, command, address, HF_HOME=str(tmp_path))
    connection, _ = silent.accept()
    with connection:
        time.sleep(0.3)
        assert interrupted(process, times=times) == (130, LINE)


def test_during_imports(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("import pathlib, time\npathlib.Path('there').touch()\ntime.sleep(60)\n")
    process = start(f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{MAIN}", "--help", cwd=tmp_path)
    wait_for(tmp_path / "there")
    assert interrupted(process) == (130, LINE)


def test_while_another_language_computes(tmp_path: Path) -> None:
    """Python's own handlers wait until such a call returns."""
    code = (
        "import ctypes, pathlib\nfrom weightscope.interrupt import end_on_interrupt\nend_on_interrupt()\n"
        "pathlib.Path('there').touch()\nlibc = ctypes.CDLL(None)\n"
        "while libc.usleep(60_000_000): pass"
    )
    process = start(code, cwd=tmp_path, PYTHONPATH=str(ROOT))
    wait_for(tmp_path / "there")
    assert interrupted(process) == (130, LINE)


def test_half_a_file_is_not_left(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("before")
    code = (
        "import time\nfrom pathlib import Path\nfrom weightscope.interrupt import end_on_interrupt\n"
        "from weightscope.output.write import write_file\nend_on_interrupt()\n"
        "def half(file):\n    file.write(b'half')\n    file.flush()\n    Path('there').touch()\n    time.sleep(60)\n"
        "write_file(Path('out'), half)"
    )
    process = start(code, cwd=tmp_path, PYTHONPATH=str(ROOT))
    wait_for(tmp_path / "there")
    assert len(list(tmp_path.iterdir())) == 3
    assert interrupted(process) == (130, LINE)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "there"]
    assert (tmp_path / "out").read_text() == "before"


def test_a_terminal_gets_its_line_and_cursor_back(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    code = (
        "import pathlib, time\nfrom weightscope.interrupt import end_on_interrupt\nend_on_interrupt()\n"
        "pathlib.Path('there').touch()\ntime.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", FOREGROUND + code],
        stderr=slave,
        cwd=tmp_path,
        env=os.environ | {"TERM": "xterm", "PYTHONPATH": str(ROOT)},
    )
    os.close(slave)
    wait_for(tmp_path / "there")
    process.send_signal(signal.SIGINT)
    assert process.wait(AT_ONCE) == 130
    assert os.read(master, 1000) == b"\r\x1b[2K\x1b[?25hweightscope: interrupted\r\n"
    os.close(master)


def test_what_is_started_in_the_background_is_not_interrupted(tmp_path: Path) -> None:
    """`nohup`, and shells for `command &`, have the signal ignored."""
    code = (
        "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "from weightscope.interrupt import end_on_interrupt\nend_on_interrupt()\n"
        "assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN\nprint('ignored')"
    )
    assert start(code).communicate(timeout=60)[0] == "ignored\n"
