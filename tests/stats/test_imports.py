"""NumPy and torch are imported before threads read values: two threads that import one at once get half of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "fixtures"
WATCHED = """
import sys, threading
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name in ("numpy", "ml_dtypes", "torch") and threading.current_thread() is not threading.main_thread():
            sys.stderr.write(f"{name} is imported by a thread\\n")
sys.meta_path.insert(0, Watch())
from weightscope.cli import run
run()
"""
MODELS = ("llama", "gpt2", "gguf/llama.gguf", "quantized/modelopt/fp8")


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("command", ["check --values --exit-zero", "stats", "lock", "diff --values"])
def test_by_the_main_thread(command: str, model: str) -> None:
    name, *options = command.split()
    path = str(FIXTURES / model)
    models = [path, path] if name == "diff" else [path]
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, name, *models, *options], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout
