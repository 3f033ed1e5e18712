"""A hub for each test, and weightscope as a process of its own that knows no other."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.remote.hub import Hub, running

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "fixtures"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running(Hub()) as hub:
        hub.add("org/llama", FIXTURES / "llama")
        yield hub


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "hf-home"


def environment(hub: Hub, home: Path, **more: str) -> dict[str, str]:
    """That of a user who has set nothing else: no token, no proxy, no cache but `home`."""
    kept = {
        key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGING")) and key != "COLUMNS"
    }
    kept = {key: value for key, value in kept.items() if "proxy" not in key.lower()}
    settings = {
        "HF_ENDPOINT": hub.endpoint,
        "HF_HOME": str(home),
        "HF_HUB_DOWNLOAD_TIMEOUT": "1",
        "PYTHONPATH": str(ROOT),
    }
    return kept | settings | {"HF_HUB_ETAG_TIMEOUT": "1", "HF_HUB_DISABLE_TELEMETRY": "1"} | more


# Pauses before what failed is asked for again, a hundredth of what they are.
HASTE = """\
import sys
from weightscope.checkpoint import wire
from weightscope.cli import run
wire.WAITS = tuple(wait / 100 for wait in wire.WAITS)
sys.argv[0] = "weightscope"
run()
"""


def command_line(start: list[str], hub: Hub, home: Path, empty: Path) -> Run:
    """Runs of the command line in a directory that holds nothing."""
    empty.mkdir(exist_ok=True)

    def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *start, *arguments],
            capture_output=True, text=True, check=False, timeout=90, cwd=empty, env=environment(hub, home, **more),
        )  # fmt: skip

    return run


@pytest.fixture
def ws(hub: Hub, home: Path, tmp_path: Path) -> Run:
    """The command line as people start it."""
    return command_line(["-m", "weightscope"], hub, home, tmp_path / "empty")


@pytest.fixture
def hasty(hub: Hub, home: Path, tmp_path: Path) -> Run:
    """The command line that hardly waits before it asks again."""
    return command_line(["-c", HASTE], hub, home, tmp_path / "empty")
