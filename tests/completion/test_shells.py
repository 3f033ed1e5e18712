"""Completion in the shells themselves, with the scripts that `--show-completion` prints."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.completion.test_protocol import ROOT, surroundings
from tests.helpers import safetensors_bytes

NAMES = ["model.embed_tokens.weight", "model.layers.", "model.norm.weight"]


def needs(shell: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not shutil.which(shell), reason=f"needs {shell}")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A home with nothing in it, and a `weightscope` that is this one."""
    command = tmp_path / "bin" / "weightscope"
    command.parent.mkdir()
    command.write_text(f"#!/bin/sh\nexec {sys.executable} -c 'from weightscope.cli import run; run()' \"$@\"\n")
    command.chmod(0o755)
    path = f"{command.parent}{os.pathsep}{os.environ['PATH']}"
    return surroundings(
        PATH=path, HOME=str(tmp_path), ZDOTDIR=str(tmp_path), TERM="dumb", XDG_CONFIG_HOME=str(tmp_path)
    )


def script(shell: str, environment: dict[str, str], tmp_path: Path) -> Path:
    shown = subprocess.run(
        ["weightscope"], capture_output=True, text=True, check=True,
        env=environment | {"_WEIGHTSCOPE_COMPLETE": f"source_{shell}"},
    ).stdout  # fmt: skip
    path = tmp_path / f"completion.{shell}"
    path.write_text(shown)
    return path


@needs("bash")
def test_bash(environment: dict[str, str], tmp_path: Path) -> None:
    code = (
        f"source {script('bash', environment, tmp_path)}\n"
        "COMP_WORDS=(weightscope explain fixtures/llama model.)\nCOMP_CWORD=3\n"
        '_weightscope_completion weightscope explain\nprintf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, env=environment
    )
    assert (done.stdout.split(), done.stderr) == (NAMES, "")


@needs("fish")
def test_fish(environment: dict[str, str], tmp_path: Path) -> None:
    code = f"source {script('fish', environment, tmp_path)}; complete -C 'weightscope explain fixtures/llama model.'"
    done = subprocess.run(
        ["fish", "--no-config", "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, env=environment
    )
    assert (done.stdout.split(), done.stderr) == (NAMES, "")


@contextmanager
def zsh(environment: dict[str, str], tmp_path: Path, cwd: Path) -> Iterator[int]:
    """zsh completes only in a terminal, so it is given one."""
    (tmp_path / ".zshrc").write_text(
        f"PS1='ready> '\nautoload -Uz compinit\ncompinit -u -D\nsource {script('zsh', environment, tmp_path)}\n"
    )
    terminal, theirs = pty.openpty()
    process = subprocess.Popen(
        ["zsh", "-i"], stdin=theirs, stdout=theirs, stderr=theirs, cwd=cwd, env=environment, start_new_session=True
    )
    os.close(theirs)
    try:
        assert "ready> " in until(terminal, "ready> ")
        yield terminal
    finally:
        process.kill()
        process.wait()
        os.close(terminal)


@needs("zsh")
def test_zsh(environment: dict[str, str], tmp_path: Path) -> None:
    with zsh(environment, tmp_path, ROOT) as terminal:
        os.write(terminal, b"weightscope explain fixtures/llama model.n\t")
        assert "norm.weight" in until(terminal, "norm.weight")


@needs("zsh")
@pytest.mark.parametrize("name", ["x$(touch pwned)", "x\\$(touch pwned)", "x`touch pwned`", "x\\`touch pwned`"])
def test_names_run_nothing_in_zsh(environment: dict[str, str], tmp_path: Path, name: str) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    tensor = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    header = {name: tensor, "x.harmless": tensor, "x.other": tensor}
    (folder / "model.safetensors").write_bytes(safetensors_bytes(header))
    with zsh(environment, tmp_path, tmp_path) as terminal:
        os.write(terminal, b"weightscope explain model x\t\t")
        assert "x.other" in until(terminal, "x.other")
    assert not (tmp_path / "pwned").exists()


def until(terminal: int, words: str, seconds: float = 30) -> str:
    """What the terminal shows until the words stand there, or nothing more comes in time."""
    shown, end = "", time.monotonic() + seconds
    while words not in shown and time.monotonic() < end:
        if select.select([terminal], [], [], 0.5)[0]:
            try:
                shown += os.read(terminal, 4096).decode(errors="replace")
            except OSError:
                break
    return shown
