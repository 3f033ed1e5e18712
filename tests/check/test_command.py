"""`weightscope check` as CI runs it: exit codes, formats, settings, several models, explanations."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from weightscope.findings import CODES, DIFF_CODES, FORWARD_CODES, MEMORY_CODES

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "fixtures"
ALL = CODES | FORWARD_CODES | MEMORY_CODES | DIFF_CODES


@pytest.fixture
def run(run: Any) -> Any:
    """`run(…)` of `weightscope check …`."""
    return lambda *arguments: run("check", *arguments)


LLAMA = """\
fixtures/llama   ok · 2 notes

info config-missing  generation_config.json is missing
     generation uses config.json and the library's defaults
info config-missing  the tokenizer is missing
     it is needed for text prompts
Checked 30 tensors, 26 rules.
"""
MINI = """\
fixtures/mini   failed · 1 error

error unknown-architecture  model type 'mini' is not declared: roles are guessed
      from names, and parameters are counted as stored
      the tensors were not checked against config.json
Checked 9 tensors, 26 rules.
"""
BOTH = """\
2 models   failed · 1 ok, 1 failed

Model           Verdict  Findings
fixtures/llama  ok       2 notes
fixtures/mini   failed   1 error
"""


def test_a_sound_model(run: Any) -> None:
    assert run("fixtures/llama") == (0, LLAMA, "")


def test_nothing_is_called_ok_that_was_not_checked(run: Any) -> None:
    assert run("fixtures/mini") == (1, MINI, "")
    assert run("fixtures/mini", "--ignore", "unknown-architecture")[0] == 0


def test_several_models(run: Any) -> None:
    assert run("fixtures/llama", "fixtures/mini") == (1, f"{LLAMA}\n{MINI}\n{BOTH}", "")


def test_json_of_one_model_has_the_promised_keys(run: Any) -> None:
    code, out, _ = run("fixtures/llama", "--format", "json")
    shown = json.loads(out)
    assert code == 0
    assert list(shown)[:4] == ["schema_version", "ok", "checked", "findings"]
    assert shown["schema_version"] == 1
    assert shown["ok"] is True
    assert shown["checked"] == {"tensors": 30, "rules": 26}
    assert set(shown["findings"][0]) == {
        "code", "severity", "message", "tensors", "expected", "actual", "config", "hint",
    }  # fmt: skip


def test_json_of_several_models(run: Any) -> None:
    code, out, _ = run("fixtures/llama", "fixtures/mini", "--format", "json")
    shown = json.loads(out)
    assert (code, shown["ok"]) == (1, False)
    assert [model["reference"] for model in shown["models"]] == ["fixtures/llama", "fixtures/mini"]
    assert len(shown["findings"]) == 3


@pytest.mark.parametrize("format", ["table", "json", "markdown", "csv", "github", "sarif", "junit", "gitlab", "rdjson"])
def test_every_format_to_a_file(format: str, run: Any, tmp_path: Path) -> None:
    _, shown, _ = run("fixtures/llama", "fixtures/mini", "--format", format)
    code, out, err = run("fixtures/llama", "fixtures/mini", "--format", format, "--output", str(tmp_path / "out"))
    assert (code, out, err) == (1, "", "")
    assert (tmp_path / "out").read_text() == shown
    assert "unknown-architecture" in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "no MODEL to check"),
        (["no-such-model"], "no such file or directory"),
        (["fixtures/llama", "--ignore", "missing-tensors"], "did you mean missing-tensor"),
        (["--explain", "nonsense"], "there is no code 'nonsense'"),
        (["fixtures/llama", "--fail-on", "never"], "never"),
        (["fixtures/llama", "--quiet", "--json"], "--quiet and --json are mutually exclusive"),
        (["fixtures/llama", "--json", "--format", "csv"], "--json and --format csv are mutually exclusive"),
        (["--explain", "--format", "junit"], "--explain has no --format junit"),
        (["--explain", "all-zero", "non-finite"], "--explain takes one code"),
        (["fixtures/llama", "--output", "fixtures/llama/config.json"], "is not overwritten"),
    ],
)
def test_what_could_not_be_done(arguments: list[str], said: str, run: Any) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err


def test_fail_on(run: Any) -> None:
    assert run("fixtures/llama", "--fail-on", "info")[0] == 1


def test_values(run: Any) -> None:
    code, out, _ = run("fixtures/mixtral", "--values")
    assert code == 0
    assert "lm_head.weight is stored too (with the same values" in " ".join(out.split())


@pytest.mark.parametrize("code", ALL)
def test_explain(code: str, run: Any) -> None:
    status, out, _ = run("--explain", code)
    assert "…" not in out
    assert status == 0
    assert out.startswith(f"{code}\n\nMeaning ")
    assert "\nWhat to do" in out
    assert not re.search(r"[*`]|^#", out, re.MULTILINE)
    (shown,) = json.loads(run("--explain", code, "--json")[1])["codes"]
    assert {key: shown[key] for key in ("code", "summary")} == {"code": code, "summary": ALL[code]}
    assert " ".join(shown["remedy"].split()) in " ".join(out.split())


def test_explain_lists_all_codes_in_a_line_each(run: Any) -> None:
    _, out, _ = run("--explain", "--format", "csv")
    assert [line.partition(",")[0] for line in out.splitlines()] == ["code", *ALL]
    assert len(json.loads(run("--explain", "--json")[1])["codes"]) == len(ALL)
    assert all(f"\n{code} " in run("--explain")[1] for code in CODES)


def test_quiet_prints_the_verdict_alone(run: Any) -> None:
    assert run("fixtures/llama", "-q") == (0, "ok\n", "")
    assert run("fixtures/mini", "--quiet") == (1, "failed\n", "")
    assert run("fixtures/llama", "fixtures/mini", "-q") == (1, "ok  fixtures/llama\nfailed  fixtures/mini\n", "")


def test_json_is_short_for_its_format(run: Any) -> None:
    assert run("fixtures/llama", "--json") == run("fixtures/llama", "--format", "json")


def test_the_same_hint_is_printed_once(run: Any) -> None:
    _, out, _ = run("fixtures/llama", "fixtures/mixtral")
    assert out.count("the tokenizer is missing") == 2
    assert out.count("it is needed for text prompts") == 1


def test_findings_page_has_an_entry_a_code_in_the_same_order() -> None:
    assert re.findall(r"^## (.+)$", (ROOT / "docs" / "findings.md").read_text(), re.MULTILINE) == [
        *ALL,
    ]


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("weightscope.toml", 'fail-on = "info"', 1),
        ("pyproject.toml", '[tool.weightscope]\nfail-on = "info"', 1),
        ("pyproject.toml", '[tool.weightscope]\nfail-on = "info"\nignore = ["config-missing"]', 0),
        ("pyproject.toml", '[tool.other]\nfail-on = "info"', 0),
        ("pyproject.toml", "not toml", 0),
    ],
)
def test_settings(name: str, text: str, code: int, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / name).write_text(text)
    (tmp_path / "deeper").mkdir()
    monkeypatch.chdir(tmp_path / "deeper")
    assert run(str(FIXTURES / "llama"))[0] == code


def test_the_command_line_comes_before_settings(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "weightscope.toml").write_text('fail-on = "info"\nvalues = true')
    monkeypatch.chdir(tmp_path)
    assert run(str(FIXTURES / "llama"), "--fail-on", "error", "--no-values")[0] == 0


@pytest.mark.parametrize("text", ['fail_on = "info"', "ignore = 3", "[", 'fail-on = "sometimes"', 'ignore = ["x"]'])
def test_settings_that_are_none(text: str, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "weightscope.toml").write_text(text)
    monkeypatch.chdir(tmp_path)
    code, out, err = run(str(FIXTURES / "llama"))
    assert (code, out) == (2, "")
    assert err.count("\n") == 1


def test_a_model_that_cannot_be_read_does_not_keep_others_from_being_checked(run: Any) -> None:
    code, out, err = run("no-such-model", "fixtures/llama")
    assert (code, out) == (2, LLAMA)
    assert err.startswith("weightscope: no-such-model: no such file or directory")


def test_settings_errors_name_their_file(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "weightscope.toml").write_text('fail-on = "sometimes"')
    monkeypatch.chdir(tmp_path)
    assert "weightscope.toml: fail-on 'sometimes'" in run(str(FIXTURES / "llama"))[2]
