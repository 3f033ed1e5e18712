"""The wheel, built once, and an environment that has it and what it asks for, both as pip makes them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# What pip and virtualenv say where no package index answers.
UNREACHABLE = re.compile(
    r"NewConnectionError|NameResolutionError|ConnectTimeout|Failed to establish|Temporary failure|from versions: none"
)


def require_index(run: subprocess.CompletedProcess[str]) -> None:
    """Skip if a command failed because there is no package index; fail if it failed otherwise."""
    said = run.stdout + run.stderr
    if run.returncode and UNREACHABLE.search(said):
        pytest.skip("no package index can be reached")
    assert run.returncode == 0, said


def pip(*arguments: str) -> None:
    """Run pip of this environment."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    require_index(subprocess.run(command, capture_output=True, text=True, check=False))


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-deps", "--wheel-dir", str(directory), str(ROOT))
    (built,) = directory.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts of an environment with nothing but the wheel and its dependencies."""
    environment = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-I", "-m", "venv", "--without-pip", str(environment)], check=True)
    pip("--python", str(environment), "install", str(wheel))
    return environment / ("Scripts" if os.name == "nt" else "bin")
