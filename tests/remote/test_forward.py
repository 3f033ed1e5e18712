"""`forward` on a model that is not here: what it would cost is said, nothing is fetched unasked, then it runs."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.remote.conftest import FIXTURES, environment
from tests.remote.hub import Hub

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_nothing_is_fetched_unasked(ws: Run, home: Path) -> None:
    ran = ws("forward", "org/llama")
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1)
    assert "org/llama: a forward pass needs the weights: " in ran.stderr
    assert "to download; --download does so without asking" in ran.stderr
    assert not list(home.rglob("*.safetensors"))


def test_download_and_run(ws: Run, hub: Hub) -> None:
    ran = ws("forward", "org/llama", "--download", "--format", "json")
    assert (ran.returncode, ran.stderr) == (0, "")
    outcome = json.loads(ran.stdout)
    here = json.loads(ws("forward", str(FIXTURES / "llama"), "--format", "json").stdout)
    assert outcome["stages"] == here["stages"]
    assert outcome["reference"] == "org/llama"
    # Now it is here, and nobody need ask.
    again = ws("forward", "org/llama", "--format", "json", HF_HUB_OFFLINE="1")
    assert json.loads(again.stdout)["stages"] == here["stages"]


def test_no_such_model(ws: Run) -> None:
    ran = ws("forward", "org/none", "--download")
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1)


@pytest.mark.parametrize(
    ("command", "question"),
    [
        ("forward", "org/llama is not in the local cache. Download "),
        ("stats", "org/llama is not in the local cache: 59.7 kB in 4 files. Download it?"),
    ],
)
@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 2)])
def test_a_person_is_asked(
    answer: str, code: int, command: str, question: str, hub: Hub, home: Path, tmp_path: Path
) -> None:
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "weightscope", command, "org/llama", "--format", "json"],
        stdin=follower, stderr=follower, stdout=subprocess.PIPE, cwd=tmp_path, env=environment(hub, home),
    )  # fmt: skip
    os.close(follower)
    os.write(leader, f"{answer}\n".encode())
    out, _ = process.communicate(timeout=90)
    said = os.read(leader, 10_000).decode()
    os.close(leader)
    assert process.returncode == code
    assert question in said
    assert bool(out) is (answer == "y")
