"""What `check` offers a CI system: counts by code, no failure on request, a badge, the page of a job."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from weightscope.output import step_summary

STATISTICS = """\

Statistics   1 error, 4 notes

Code                  Severity  Findings  Models
unknown-architecture  error            1       1
config-missing        info             4       2
"""
SUMMARY = """\
# weightscope check

## fixtures/mini

**failed** · 1 error


- **error** `unknown-architecture`: model type 'mini' is not declared: roles are guessed from names, and parameters \
are counted as stored *the tensors were not checked against config.json*

Checked 9 tensors, 26 rules.
"""


def test_statistics_come_last(run: Any) -> None:
    models = ("fixtures/llama", "fixtures/llama/", "fixtures/mini")
    _, plain, _ = run("check", *models)
    code, out, err = run("check", *models, "--statistics")
    assert (code, out, err) == (1, plain + STATISTICS, "")


def test_statistics_in_json(run: Any) -> None:
    def shown(*arguments: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(run("check", *arguments, "--json")[1])
        return document

    counted = [{"code": "config-missing", "severity": "info", "findings": 2, "models": 1}]
    assert shown("fixtures/llama", "--statistics") == shown("fixtures/llama") | {"statistics": counted}
    both = shown("fixtures/llama", "fixtures/mini", "--statistics")
    assert list(both)[:2] == ["schema_version", "ok"]
    assert [(one["code"], one["findings"]) for one in both["statistics"]] == [
        ("unknown-architecture", 1),
        ("config-missing", 2),
    ]


def test_statistics_of_nothing(run: Any) -> None:
    _, out, _ = run("check", "fixtures/llama", "--ignore", "config-missing", "--statistics")
    assert out.endswith("\nStatistics   nothing found\n")


@pytest.mark.parametrize("form", ["csv", "github", "sarif", "junit", "gitlab", "rdjson", "shields"])
def test_statistics_have_no_place_in_other_formats(form: str, run: Any) -> None:
    code, out, err = run("check", "fixtures/llama", "--statistics", "--format", form)
    assert (code, out) == (2, "")
    assert f"--statistics has no --format {form}; formats are table, json, markdown" in err


def test_exit_zero(run: Any) -> None:
    _, shown, _ = run("check", "fixtures/mini")
    assert run("check", "fixtures/mini", "--exit-zero") == (0, shown, "")
    # What could not be checked at all is no verdict.
    assert run("check", "fixtures/mini", "no-such-model", "--exit-zero")[0] == 2


@pytest.mark.parametrize(
    ("arguments", "message", "color"),
    [
        (["fixtures/llama"], "ok", "brightgreen"),
        (["fixtures/mini"], "1 error", "red"),
        (["fixtures/llama", "--fail-on", "info"], "2 notes", "red"),
    ],
)
def test_badge(arguments: list[str], message: str, color: str, run: Any) -> None:
    """The four keys of https://shields.io/badges/endpoint-badge that are needed."""
    _, out, err = run("check", *arguments, "--format", "shields")
    assert json.loads(out) == {"schemaVersion": 1, "label": "weightscope", "message": message, "color": color}
    assert err == ""


def test_badge_of_warnings(run: Any, tmp_path: Path) -> None:
    for file in Path("fixtures/llama").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "model-00001-of-00009.safetensors").write_bytes((tmp_path / _first_shard(tmp_path)).read_bytes())
    code, out, _ = run("check", str(tmp_path), "--format", "shields", "--ignore", "duplicate-tensor")
    assert (code, json.loads(out)["message"], json.loads(out)["color"]) == (0, "1 warning", "yellow")


def _first_shard(directory: Path) -> str:
    return min(file.name for file in directory.glob("*.safetensors"))


def test_badge_of_parameters(run: Any) -> None:
    _, out, _ = run("params", "fixtures/llama", "--format", "shields")
    total = json.loads(run("params", "fixtures/llama", "--json")[1])["parameters"]["total"]
    assert total == 28296
    assert json.loads(out) == {"schemaVersion": 1, "label": "parameters", "message": "28.3 K", "color": "blue"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["check", "fixtures/llama", "fixtures/mini"], "--format shields is of one MODEL"),
        (["params", "fixtures/llama", "fixtures/mini"], "--format shields is of one MODEL"),
        (["params", "fixtures/llama", "--by", "role"], "--format shields shows the total only"),
        (["params", "fixtures/llama", "--trainable", "full"], "--format shields shows the total only"),
        (["inspect", "fixtures/llama"], "'shields' is not one of 'table', 'json', 'markdown', 'csv'"),
        (["check", "--explain"], "--explain has no --format shields"),
    ],
)
def test_no_badge_of_anything_else(arguments: list[str], said: str, run: Any) -> None:
    code, out, err = run(*arguments, "--format", "shields")
    assert (code, out) == (2, "")
    assert said in err


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a job's page."""
    file = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(file))
    return file


def test_verdicts_are_appended_to_the_page_of_the_job(run: Any, page: Path) -> None:
    _, out, _ = run("check", "fixtures/mini", "--format", "github")
    assert out.startswith("::error ")
    assert page.read_text() == SUMMARY
    page.write_text("from before\n")
    run("check", "fixtures/mini", "--format", "github")
    assert page.read_text() == f"from before\n\n{SUMMARY}"


def test_the_page_says_what_could_not_be_checked(run: Any, page: Path) -> None:
    code, _, err = run("check", "fixtures/mini", "no-such-model", "--format", "github")
    reason = err.removeprefix("weightscope: ").strip()
    assert (code, page.read_text()) == (2, f"{SUMMARY}\n- **not checked**: {reason}\n")
    page.unlink()
    run("check", "no-such-model", "--format", "github")
    assert page.read_text() == f"# weightscope check\n\n- **not checked**: {reason}\n"


@pytest.mark.parametrize("form", ["table", "markdown", "sarif", "gitlab"])
def test_no_page_for_other_formats(form: str, run: Any, page: Path) -> None:
    run("check", "fixtures/mini", "--format", form)
    assert not page.exists()


def test_a_page_that_cannot_be_written_fails_nothing(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path))
    code, out, err = run("check", "fixtures/llama", "--format", "github")
    assert (code, err) == (0, "weightscope: GITHUB_STEP_SUMMARY is no regular file: no summary was written\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "no" / "such"))
    assert run("check", "fixtures/llama", "--format", "github") == (
        0,
        out,
        "weightscope: no summary was written to GITHUB_STEP_SUMMARY: No such file or directory\n",
    )
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(pipe))
    assert run("check", "fixtures/llama", "--format", "github")[0] == 0


def test_a_page_never_grows_beyond_what_github_shows(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step_summary, "LIMIT", 200)
    line = "a line of some length\n"
    assert step_summary.append_step_summary(line * 100) is None
    text = page.read_text()
    assert len(text.encode()) <= 200
    assert text == line * 6 + step_summary.CUT
    step_summary.append_step_summary("more\n" * 10)
    assert page.read_text() == text
