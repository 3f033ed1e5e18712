"""Settings files that others wrote: what is not ours is passed over with a note, what is ours and wrong is an error."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

FIXTURES = Path(__file__).parents[2] / "fixtures"
LONG = ".".join(["a"] * 60_000)


def sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, 3_000_000_000)


def text(content: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(content, errors="surrogateescape")


BROKEN: list[tuple[Callable[[Path], object], str]] = [
    (text("not toml"), "Expected '='"),
    (text(f"{LONG} = 1"), "a key has more than 32 parts"),
    (text("x = " + "[" * 400_000), "it nests more than 64 deep"),
    (text("\udcff"), "can't decode byte"),
    (text("x\x1b[2J\n::error::y"), "Expected '='"),
    (sparse, "it is larger than 1,000,000 bytes"),
]


@pytest.mark.parametrize(("make", "said"), BROKEN)
def test_a_pyproject_that_cannot_be_read_is_passed_over(
    make: Callable[[Path], object], said: str, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.weightscope]\nfail-on = "info"')
    (tmp_path / "deeper").mkdir()
    make(tmp_path / "deeper" / "pyproject.toml")
    monkeypatch.chdir(tmp_path / "deeper")
    started = time.process_time()
    code, out, err = run("check", FIXTURES / "llama")
    assert time.process_time() - started < 5
    # The settings above it are the nearest that there are.
    assert code == 1
    assert out.startswith(f"{FIXTURES / 'llama'}   failed")
    assert err.startswith(f"weightscope: {tmp_path}/deeper/pyproject.toml: ignored, because it cannot be read (")
    assert said in err
    assert err.count("\n") == 1
    assert err[:-1].isprintable()


@pytest.mark.parametrize(("make", "said"), BROKEN)
def test_a_weightscope_toml_that_cannot_be_read_is_an_error(
    make: Callable[[Path], object], said: str, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path / "weightscope.toml")
    monkeypatch.chdir(tmp_path)
    code, out, err = run("check", FIXTURES / "llama")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err


@pytest.mark.parametrize(
    "content", ['fail-on = "sometimes"', "fail_on = 1", 'ignore = ["\\u001b[2J"]', "x = 0x" + "f" * 9999]
)
def test_settings_of_ours_that_are_wrong_are_errors(
    content: str, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyproject.toml").write_text(f"[tool.weightscope]\n{content}")
    monkeypatch.chdir(tmp_path)
    code, out, err = run("check", FIXTURES / "llama")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"weightscope: {tmp_path}/pyproject.toml: ")
    assert err[:-1].isprintable()
