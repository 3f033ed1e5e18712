"""action.yml and .pre-commit-hooks.yaml: the options that they pass exist, every input arrives, and as data only."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from pre_commit.clientlib import load_manifest  # type: ignore[import-untyped]

from weightscope.commands.app import app_for

ROOT = Path(__file__).parents[1]
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
STEPS: list[dict[str, Any]] = ACTION["runs"]["steps"]
CHECK = next(step for step in STEPS if step.get("name") == "Check")
HOOKS = load_manifest(str(ROOT / ".pre-commit-hooks.yaml"))
# Stands in for weightscope and says what it was called with.
ECHO = f"#!{sys.executable}\nimport json, sys\nprint(json.dumps(sys.argv[1:]))\n"
BASH = shutil.which("bash")


def check_parameters() -> dict[str, Any]:
    """Every spelling of an option of `weightscope check`, and the parameter behind it."""
    command = typer.main.get_command(app_for(())).commands["check"]  # type: ignore[attr-defined]
    return {name: parameter for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}


def test_options_of_the_action_exist() -> None:
    options = set(re.findall(r"--[a-z][a-z-]*", CHECK["run"]))
    assert options == {"--format", "--fail-on", "--output", "--values", "--no-values", "--ignore"}
    assert options <= set(check_parameters())


@pytest.mark.parametrize(("name", "option"), [("format", "--format"), ("fail-on", "--fail-on")])
def test_choices_that_the_action_names_exist(name: str, option: str) -> None:
    described = set(re.findall(r"[a-z]+", ACTION["inputs"][name]["description"]))
    assert set(check_parameters()[option].type.choices) <= described
    assert ACTION["inputs"][name].get("default") in {"", "github"}


def test_every_input_is_used_and_none_in_a_script() -> None:
    used = {
        name
        for step in STEPS
        for value in (*step.get("env", {}).values(), *step.get("with", {}).values())
        for name in re.findall(r"\$\{\{ inputs\.([a-z-]+) \}\}", str(value))
    }
    conditions = {name for step in STEPS for name in re.findall(r"inputs\.([a-z-]+)", step.get("if", ""))}
    assert used | conditions == set(ACTION["inputs"])
    assert not any("${{" in step.get("run", "") for step in STEPS)
    for step in STEPS:
        # What a script reads by itself is secret: arguments of a process can be seen by all.
        shown = step.get("env", {}).keys() - {"GITHUB_TOKEN"}
        assert all(f"${name}" in step["run"] or f"${{{name}" in step["run"] for name in shown)


def test_only_the_step_that_comments_has_the_token() -> None:
    having = [step["name"] for step in STEPS if any("inputs.token" in str(v) for v in step.get("env", {}).values())]
    assert having == ["Comment"]
    assert [step["name"] for step in STEPS if "github.token" in str(step)] == []


def run_check(directory: Path, **inputs: str) -> subprocess.CompletedProcess[str]:
    """The action's own script, as GitHub's runner starts bash, around a stand-in for weightscope."""
    assert BASH
    stand_in = directory / "weightscope" / "bin" / "weightscope"
    stand_in.parent.mkdir(parents=True)
    stand_in.write_text(ECHO)
    stand_in.chmod(0o755)
    given = {name: data.get("default", "") for name, data in ACTION["inputs"].items()} | inputs
    given |= {"steps.install.outputs.bin": str(stand_in.parent)}
    values = {name: given[re.findall(r"{{ (?:inputs\.)?(\S+) }}", value)[0]] for name, value in CHECK["env"].items()}
    command = [BASH, "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", CHECK["run"]]
    environment = {"PATH": os.environ["PATH"], "RUNNER_TEMP": str(directory), **values}
    return subprocess.run(command, env=environment, cwd=directory, capture_output=True, text=True, check=False)


HOSTILE = "$(touch forged) `touch forged`; touch forged * 'x\" --fail-on=info"


@pytest.mark.parametrize(
    ("inputs", "arguments"),
    [
        ({"model": "models/a"}, ["--format=github", "--", "models/a"]),
        ({"model": "\n  models/a b \n\n--fail-on\n"}, ["--format=github", "--", "models/a b", "--fail-on"]),
        (
            {"model": "m", "fail-on": "warning", "ignore": "size-mismatch\ntie-mismatch:lm_*\n", "values": "true"},
            [
                "--format=github",
                "--fail-on=warning",
                "--values",
                "--ignore=size-mismatch",
                "--ignore=tie-mismatch:lm_*",
                "--",
                "m",
            ],
        ),
        (
            {"model": "m", "format": "sarif", "output": "out put.sarif", "values": "false"},
            ["--format=sarif", "--output=out put.sarif", "--no-values", "--", "m"],
        ),
        ({"model": HOSTILE, "ignore": HOSTILE}, ["--format=github", f"--ignore={HOSTILE}", "--", HOSTILE]),
    ],
)
def test_inputs_arrive_as_arguments(tmp_path: Path, inputs: dict[str, str], arguments: list[str]) -> None:
    run = run_check(tmp_path, **inputs)
    assert (run.returncode, run.stderr) == (0, "")
    assert json.loads(run.stdout) == ["check", *arguments]
    assert not (tmp_path / "forged").exists()


def test_no_python_starts_in_the_checkout() -> None:
    """`python -m` imports from the working directory first, which a pull request fills: -I keeps it out."""
    lines = [line for step in STEPS for line in step.get("run", "").splitlines()]
    starts = [line for line in lines if '"$PYTHON"' in line or "/python" in line]
    assert len(starts) == 4
    assert all('"$PYTHON" -I -m ' in line or '"$BIN/python" -I "$GITHUB_ACTION_PATH/' in line for line in starts)


def test_values_is_true_or_false(tmp_path: Path) -> None:
    run = run_check(tmp_path, model="m", values="maybe")
    assert (run.returncode, run.stdout, run.stderr) == (2, "", "values is true or false\n")


def test_hook_runs_check() -> None:
    (hook,) = HOOKS
    assert hook["id"] == "weightscope-check"
    assert shlex.split(hook["entry"]) == ["weightscope", "check"]
    assert {argument for argument in hook["args"] if argument.startswith("-")} <= set(check_parameters())
    assert not hook["pass_filenames"]


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("config.json", True),
        ("models/a/config.json", True),
        ("models/a/model.safetensors.index.json", True),
        ("models/a/model-00001-of-00002.safetensors", True),
        ("pytorch_model.bin", True),
        ("tokenizer.json", True),
        ("generation_config.json", True),
        ("package.json", False),
        ("src/myconfig.json", False),
        ("README.md", False),
    ],
)
def test_hook_starts_at_files_of_checkpoints(path: str, wanted: bool) -> None:
    assert bool(re.search(HOOKS[0]["files"], path)) is wanted
