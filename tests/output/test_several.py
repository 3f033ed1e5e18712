"""Several MODELs in one run: each as it would be alone, one after another, and one summary of all."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

MODELS = ("fixtures/llama", "fixtures/mini")


@pytest.mark.parametrize("command", ["inspect", "params", "tensors"])
def test_json_has_an_object_for_each(command: str, run: Any) -> None:
    code, out, _ = run(command, *MODELS, "--json")
    shown = json.loads(out)
    assert code == 0
    assert list(shown) == ["schema_version", "models"]
    assert shown["models"] == [json.loads(run(command, model, "--json")[1]) for model in MODELS]


@pytest.mark.parametrize("command", ["inspect", "params", "tensors"])
def test_csv_names_the_model(command: str, run: Any) -> None:
    rows = list(csv.reader(io.StringIO(run(command, *MODELS, "--format", "csv")[1])))
    alone = [list(csv.reader(io.StringIO(run(command, model, "--format", "csv")[1]))) for model in MODELS]
    assert rows == [["model", *alone[0][0]]] + [
        [model, *row] for model, lines in zip(MODELS, alone, strict=True) for row in lines[1:]
    ]


@pytest.mark.parametrize("format", ["table", "markdown"])
@pytest.mark.parametrize("command", ["inspect", "params", "tensors"])
def test_each_is_shown_as_it_is_alone(command: str, format: str, run: Any, tmp_path: Path) -> None:
    _, out, _ = run(command, *MODELS, "--format", format)
    for model in MODELS:
        assert run(command, model, "--format", format)[1] in out
    assert run(command, *MODELS, "--format", format, "--output", str(tmp_path / "out"))[:2] == (0, "")
    assert (tmp_path / "out").read_text() == out


def test_inspect_ends_in_a_summary(run: Any) -> None:
    _, out, _ = run("inspect", *MODELS)
    assert out.endswith("""
2 models   40,072 parameters · 104 kB

Model           Family  Parameters    Bytes  Dtypes  Findings
fixtures/llama  llama       28,296  56.6 kB  BF16    none
fixtures/mini   mini        11,776  47.1 kB  F32     1 warning
""")


def test_one_that_cannot_be_read_keeps_no_other_from_being_shown(run: Any) -> None:
    for command in ("inspect", "params", "tensors"):
        code, out, err = run(command, "fixtures/llama", "./no-such-model/", "./nor-this/")
        assert code == 2
        assert out.startswith("llama   LlamaForCausalLM")
        assert [line.split(": ")[1] for line in err.splitlines()] == ["./no-such-model/", "./nor-this/"]


def test_none_that_can_be_read_shows_nothing(run: Any) -> None:
    code, out, err = run("inspect", "./no-such-model/", "./nor-this/")
    assert (code, out, err.count("\n")) == (2, "", 2)


def test_no_file_of_any_of_them_is_overwritten(run: Any, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for file in ("config.json", "model.safetensors"):
            (tmp_path / name / file).write_bytes(Path("fixtures/mini", file).read_bytes())
    code, _, err = run("inspect", str(tmp_path / "a"), str(tmp_path / "b"), "-o", str(tmp_path / "b" / "config.json"))
    assert code == 2
    assert "is not overwritten" in err


@pytest.mark.parametrize(
    ("arguments", "models", "pattern"),
    [
        (["fixtures/llama"], 1, None),
        (["fixtures/llama", "lm_head.weight"], 1, "lm_head.weight"),
        (["fixtures/llama", "*/*"], 1, "*/*"),
        (["fixtures/llama", "fixtures/mini"], 2, None),
        (["fixtures/llama", "org/name"], 2, None),
        (["fixtures/llama", "https://example.org/model.safetensors"], 2, None),
        (["fixtures/llama", "fixtures/mini", "*q_proj*"], 2, "*q_proj*"),
        (["fixtures/llama", "model.layers.{0–2}.mlp.up_proj.weight"], 1, "model.layers.{0–2}.mlp.up_proj.weight"),
    ],
)
def test_the_last_argument_of_tensors_may_be_a_pattern(arguments: list[str], models: int, pattern: str | None) -> None:
    from weightscope.commands.tensors import models_and_pattern

    assert models_and_pattern(arguments) == (arguments[:models], pattern)
