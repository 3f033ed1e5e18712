"""Ctrl-C while a server is slow: at once, 130, one line, nothing half-written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.remote.conftest import environment
from tests.remote.hub import SLOW, Fault, Hub, hangs, paces
from tests.remote.test_faults import SHARD, leftovers


def begun(hub: Hub, home: Path, folder: Path, *arguments: str) -> subprocess.Popen[str]:
    # A process that a shell began in the background has interrupts ignored, and so would this one.
    code = (
        "import signal, sys\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from weightscope.cli import main\nsys.argv[0] = 'weightscope'\nmain()"
    )
    more = {"HF_HUB_DOWNLOAD_TIMEOUT": "20", "HF_HUB_ETAG_TIMEOUT": "20"}
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder, env=environment(hub, home, **more),
    )  # fmt: skip


def waits_for(hub: Hub, part: str) -> None:
    """Until a server has the request that it will not answer."""
    end = time.monotonic() + 20
    while not any(part in path for path in hub.begun):
        assert time.monotonic() < end
        time.sleep(0.05)
    time.sleep(0.3)


@pytest.mark.parametrize("twice", [False, True], ids=["once", "twice"])
@pytest.mark.parametrize(
    ("fault", "place", "command"),
    [
        *(
            (fault, place, command)
            for fault in (hangs, SLOW["headers"], paces(0, 1, 2.0))
            for place, command in (
                ("/api/models/org/llama", "inspect"),
                ("config.json", "inspect"),
                (SHARD, "inspect"),
                (SHARD, "forward"),
            )
        ),
        (hangs, f"HEAD {SHARD}", "forward"),
        (SLOW["headers"], f"HEAD {SHARD}", "forward"),
    ],
)
def test_it_ends_at_once(
    fault: Fault, place: str, command: str, twice: bool, hub: Hub, home: Path, tmp_path: Path
) -> None:
    hub.redirect = False
    hub.fail(place, fault)
    options = ("--download", "--tokens", "1") if command == "forward" else ()
    process = begun(hub, home, tmp_path, command, "org/llama", *options)
    waits_for(hub, place.rpartition(" ")[2])
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    if twice:
        time.sleep(0.1)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGINT)
    out, said = process.communicate(timeout=30)
    # A server that hangs does so for thirty seconds.
    assert time.monotonic() - start < 10
    assert (out, said, process.returncode) == ("", "weightscope: interrupted\n", 130)
    assert leftovers(home) == []
    assert not list((home / "hub").rglob(f"snapshots/*/{SHARD}"))
