"""The wheel: what is in it, and that it works where nothing else is installed."""

from __future__ import annotations

import json
import subprocess
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LLAMA = str(ROOT / "fixtures" / "llama")

pytestmark = pytest.mark.slow


def test_every_file_of_the_package_is_in_the_wheel(wheel: Path) -> None:
    package = ROOT / "weightscope"
    files = {
        path.relative_to(ROOT).as_posix()
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    held = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("weightscope/")}
    assert held == files | {"weightscope/findings.md"}
    assert "weightscope/py.typed" in held


def test_torch_is_an_extra(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    metadata = archive.read(next(name for name in archive.namelist() if name.endswith("/METADATA"))).decode()
    needed = [line for line in metadata.splitlines() if line.startswith("Requires-Dist:") and "extra ==" not in line]
    names = {line.split()[1].partition(">")[0].partition("<")[0] for line in needed}
    assert names == {"typer", "rich", "msgspec", "numpy", "ml-dtypes", "huggingface-hub"}


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--version"], 0, "weightscope 0."),
        (["inspect", LLAMA], 0, "28,296"),
        (["params", LLAMA, "--by", "layer"], 0, "model.layers.{0–2}"),
        (["tensors", LLAMA, "*q_proj*"], 0, "3 of 30 tensors"),
        (["explain", LLAMA, "lm_head"], 0, "lm_head·x"),
        (["check", LLAMA], 0, "Checked 30 tensors"),
        (["check", LLAMA, "--format", "sarif"], 0, '"version": "2.1.0"'),
        (["check", "--explain", "tie-mismatch"], 0, "Tying of head and embedding disagrees"),
        (["diff", LLAMA, LLAMA, "--values", "-q"], 0, "identical"),
        (["stats", LLAMA, "-q"], 0, "ok"),
        (["memory", LLAMA, "--context", "1024"], 0, "llama"),
        (["lock", LLAMA], 0, '"digest"'),
        (["forward", LLAMA], 2, "torch is not installed; install weightscope-cli[forward]"),
    ],
    ids=lambda value: " ".join(value[::2]) if isinstance(value, list) else "",
)
def test_commands_work_from_the_wheel(
    installed: Path, tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    command = [str(installed / "weightscope"), *arguments]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == code, run.stderr
    assert said in run.stdout + run.stderr


def test_python_works_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    script = (
        f"import json, weightscope as ws; m = ws.open({LLAMA!r}); print(json.dumps([m.parameters.total, ws.__file__]))"
    )
    command = [str(installed / "python"), "-I", "-c", script]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    total, file = json.loads(run.stdout)
    assert total == 28296
    assert Path(file).is_relative_to(installed.parent)
