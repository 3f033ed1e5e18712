"""Ctrl-C while a server leaves several threads waiting: at once, and once more changes nothing."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.remote.conftest import environment
from tests.remote.hub import Content, Handler, Hub

# SIGINT as a shell leaves it for what runs in the foreground, however these tests were started.
CODE = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\nfrom weightscope.cli import main\nmain()"
)
SILENCE = 60.0
AT_ONCE = 10.0


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["inspect", "org/llama"], "model-0000"),
        (["inspect", "org/llama"], "config.json"),
        (["check", "org/llama"], "index.json"),
        (["forward", "org/llama", "--download"], "model-0000"),
    ],
)
def test_at_once(arguments: list[str], part: str, times: int, hub: Hub, home: Path, tmp_path: Path) -> None:
    asked, end = threading.Event(), threading.Event()

    def silent(handler: Handler, content: Content, start: int, stop: int) -> None:
        asked.set()
        end.wait(SILENCE)
        handler.drop()

    hub.fail(part, silent)
    long = {"HF_HUB_DOWNLOAD_TIMEOUT": "60", "HF_HUB_ETAG_TIMEOUT": "60"}
    process = subprocess.Popen(
        [sys.executable, "-c", CODE, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=environment(hub, home, **long),
    )
    try:
        assert asked.wait(60)
        time.sleep(0.3)
        started = time.monotonic()
        for _ in range(times):
            process.send_signal(signal.SIGINT)
            time.sleep(0.05)
        out, err = process.communicate(timeout=AT_ONCE)
    finally:
        end.set()
        process.kill()
    assert (process.returncode, out, err) == (130, "", "weightscope: interrupted\n")
    assert time.monotonic() - started < AT_ONCE
    assert not list(home.rglob("*.tmp"))
