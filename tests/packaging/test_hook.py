"""The pre-commit hook, as pre-commit installs and runs it from a clone of this repository."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.packaging.conftest import require_index

ROOT = Path(__file__).parents[2]
GIT = shutil.which("git")
# A commit of somebody, with no settings of this machine's.
NAMES = {f"GIT_{who}_{what}": "a@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not GIT or not (ROOT / ".git").exists(), reason="pre-commit clones a repository of git"),
]


def test_hook(tmp_path: Path) -> None:
    checkout = tmp_path / "model"
    shutil.copytree(ROOT / "fixtures" / "llama", checkout)
    environment = {**os.environ, **NAMES, "PRE_COMMIT_HOME": str(tmp_path / "home")}
    # git tells its hooks where they run, and the suite may be run by one.
    environment = {name: value for name, value in environment.items() if name not in ("GIT_DIR", "GIT_INDEX_FILE")}

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)

    def hook() -> subprocess.CompletedProcess[str]:
        return run(sys.executable, "-m", "pre_commit", "try-repo", str(ROOT), "weightscope-check", "--all-files", "-v")

    run("git", "init", "-q")
    run("git", "add", "-A")
    sound = hook()
    require_index(sound)
    assert "Passed" in sound.stdout
    assert "Checked 30 tensors" in sound.stdout

    config = checkout / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"num_hidden_layers": 4}))
    broken = hook()
    assert broken.returncode == 1
    assert "missing-tensor" in broken.stdout
