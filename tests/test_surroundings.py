"""Where weightscope is started: in folders that hold modules or are gone, on terminals of no size."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from weightscope import cli

ROOT = Path(__file__).parents[1]
LLAMA = ROOT / "fixtures" / "llama"
FP8 = ROOT / "fixtures" / "quantized" / "modelopt" / "fp8"
# Modules that a command imports: other people's, of the standard library, and the one behind `from __future__`.
MODULES = [
    "msgspec",
    "typer",
    "click",
    "rich",
    "typing",
    "signal",
    "enum",
    "re",
    "json",
    "csv",
    "__future__",
    "_thread",
]


def run(*arguments: str, cwd: Path, code: str | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """`python -m weightscope` in that folder, wherever the package is; or other code."""
    keep = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES")}
    start = ["-c", code] if code else ["-m", "weightscope"]
    return subprocess.run(
        [sys.executable, *start, *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=keep | {"PYTHONPATH": str(ROOT)} | environment,
        check=False,
    )


def assert_said(done: subprocess.CompletedProcess[str], first: str) -> None:
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(first)


@pytest.mark.parametrize("path", ["", os.pathsep, f".{os.pathsep}"])
def test_a_folder_that_holds_modules(path: str, tmp_path: Path) -> None:
    for module in MODULES:
        (tmp_path / f"{module}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'a').write({module!r})\n")
    done = run("inspect", str(LLAMA), cwd=tmp_path, PYTHONPATH=f"{path}{ROOT}" if path != "" else str(ROOT))
    assert not (tmp_path / "ran").exists(), (tmp_path / "ran").read_text()
    assert_said(done, "llama   LlamaForCausalLM")


GONE = "import os, sys\nos.rmdir(os.getcwd())\nfrom weightscope.cli import main\nmain()"


@pytest.mark.parametrize(
    ("arguments", "first"),
    [
        (["inspect", str(LLAMA)], "llama   LlamaForCausalLM"),
        (["params", str(LLAMA)], "llama   LlamaForCausalLM"),
        (["tensors", str(LLAMA)], "llama   LlamaForCausalLM"),
        (["check", str(LLAMA)], f"{LLAMA}   ok"),
        (["check", str(LLAMA), "--format", "github"], f"::notice file={LLAMA}/model.safetensors.index.json,"),
        (["check", str(LLAMA), "--format", "sarif"], "{"),
        (["check", str(LLAMA), "--format", "gitlab"], "["),
        (["check", str(LLAMA), "--format", "rdjson"], "{"),
    ],
)
def test_a_working_directory_that_is_gone(arguments: list[str], first: str, tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    assert_said(run(*arguments, cwd=tmp_path / "gone", code=GONE), first)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["inspect", "."], "weightscope: .: an empty directory"),
        (["inspect", "model"], "weightscope: model: no such file or directory"),
        (["inspect", str(LLAMA), "-o", "out"], "weightscope: out: cannot be written"),
        (["forward", str(LLAMA), "--tokens", "1"], "weightscope: the working directory was deleted; change to"),
        (["diff", str(LLAMA), str(LLAMA), "--forward", "--tokens", "1"], "weightscope: the working directory was"),
        (["stats", str(FP8)], "weightscope: the working directory was deleted; change to"),
        (["check", str(FP8), "--values", "-q"], "weightscope: the working directory was deleted; change to"),
    ],
)
def test_nothing_can_be_had_of_it(arguments: list[str], said: str, tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    done = run(*arguments, cwd=tmp_path / "gone", code=GONE)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith(said)


@pytest.mark.parametrize("value", ["abc", "", "0", "-5", "1", "²", "८०", "99999999999999999999", "9" * 5000])
@pytest.mark.parametrize("arguments", [["inspect", str(LLAMA)], ["--help"], ["inspct"]])
def test_columns_that_are_none(arguments: list[str], value: str, monkeypatch: pytest.MonkeyPatch,
                               capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    monkeypatch.setenv("COLUMNS", value)
    monkeypatch.setenv("LINES", value)
    monkeypatch.setattr(sys, "argv", ["weightscope", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    out, err = capsys.readouterr()
    assert end.value.code == (2 if arguments == ["inspct"] else 0)
    assert err.count("\n") == (1 if arguments == ["inspct"] else 0)
    assert bool(out) is (arguments != ["inspct"])


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_json_on_streams_of_any_encoding(encoding: str, tmp_path: Path) -> None:
    import numpy as np
    from safetensors.numpy import save_file

    names = ["é", "漢", "🙂", "\u202e"]
    save_file({name: np.zeros(2, np.float32) for name in names}, tmp_path / "model.safetensors")
    done = subprocess.run(
        [sys.executable, "-m", "weightscope", "tensors", str(tmp_path), "--format", "json"],
        capture_output=True, cwd=ROOT, env=os.environ | {"PYTHONIOENCODING": encoding}, check=True,
    )  # fmt: skip
    shown = json.loads(done.stdout.decode(encoding))
    assert sorted(tensor["name"] for tensor in shown["tensors"]) == sorted(names)


@pytest.mark.parametrize("value", ["²", "9" * 5000, "abc", "0"])
def test_rich_never_sees_them(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It converts what `str.isdigit` takes, which is more than int() does."""
    from rich.console import Console

    monkeypatch.setenv("COLUMNS", value)
    monkeypatch.setenv("LINES", value)
    cli._drop_odd_sizes()
    assert 0 < Console().width < 1000


def test_a_fault_shows_what_it_was_about_and_no_more(monkeypatch: pytest.MonkeyPatch,
                                                     capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    def fail() -> int:
        raise KeyError("a\x1b[2J\u202e\ud800\n::error::b")

    monkeypatch.setattr(cli, "_run", fail)
    monkeypatch.setenv("WEIGHTSCOPE_TRACEBACK", "1")
    with pytest.raises(SystemExit) as end:
        cli.main()
    _, err = capsys.readouterr()
    assert end.value.code == 2
    assert "Traceback" in err
    assert all(line.isprintable() and not line.startswith("::") for line in err.split("\n"))
