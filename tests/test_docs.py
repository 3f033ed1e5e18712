"""The documentation is true: its commands print what it shows, its code runs, and every command is in it."""

from __future__ import annotations

import doctest
import os
import re
import shlex
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import pytest

from weightscope.commands.app import COMMANDS

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    ROOT / "fixtures" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
BLOCKS = [(page, match[1], match[2]) for page in PAGES for match in FENCED.finditer(page.read_text())]
# A console block is one command and what it prints.
EXAMPLES = [
    (page.name, *block.removeprefix("$ ").split("\n", 1)) for page, language, block in BLOCKS if language == "console"
]
# Commands that are shown without their output.
SHELL = [
    (page, line.partition(" #")[0].rstrip())
    for page, language, block in BLOCKS
    if language in ("sh", "text")
    for line in block.splitlines()
]


def run(command: str) -> subprocess.CompletedProcess[str]:
    arguments = [sys.executable, "-m", "weightscope", *shlex.split(command)[1:]]
    piped = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "FORCE_COLOR")}
    return subprocess.run(arguments, capture_output=True, text=True, cwd=ROOT, env=piped, check=False)


@pytest.mark.parametrize(("page", "command", "shown"), EXAMPLES, ids=[f"{e[0]}: {e[1]}" for e in EXAMPLES])
def test_examples_print_what_is_shown(page: str, command: str, shown: str) -> None:
    assert run(command).stdout == shown


def test_the_readme_counts_the_families() -> None:
    from weightscope.families.registry import all_families

    assert f"**Families**: {len(all_families())} model types" in (ROOT / "README.md").read_text()


def test_the_family_that_is_shown_is_the_one_that_is_there() -> None:
    shown = re.search(r" +```python\n(.*?) +```\n", (ROOT / "docs" / "adding-a-family.md").read_text(), re.DOTALL)
    assert shown
    assert textwrap.dedent(shown[1]) == (ROOT / "weightscope" / "families" / "text" / "qwen3.py").read_text()


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 7
    assert all(command.startswith("weightscope ") for _, command, _ in EXAMPLES)
    assert {language for _, language, _ in BLOCKS} <= {
        "console",
        "sh",
        "text",
        "python",
        "pycon",
        "toml",
        "yaml",
        "json",
    }


@pytest.mark.parametrize("command", COMMANDS)
def test_shown_options_are_those_of_the_command(command: str) -> None:
    known = set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", run(f"weightscope {command} --help").stdout))
    lines = [line.removeprefix("$ ") for _, line in SHELL] + [shown for _, shown, _ in EXAMPLES]
    shown = [line for line in lines if line.startswith(f"weightscope {command} ")]
    used = {word for line in shown for word in line.split() if word.startswith("-")}
    assert used <= known


def test_shown_make_targets_and_files_are_there() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    lines = [line for _, line in SHELL]
    assert {line.split()[1] for line in lines if line.startswith("make ")} <= targets
    files = [word for line in lines if "pytest" in line for word in line.split() if word.endswith(".py")]
    assert files
    assert all((ROOT / file).is_file() for file in files)
    modules = [match[1] for line in lines if (match := re.search(r"-m ((?:tests|fuzz)[\w.]*)", line))]
    assert all((ROOT / f"{module.replace('.', '/')}.py").is_file() for module in modules)


def test_the_readme_answers_with_one_command_each() -> None:
    shown = {command: out for page, command, out in EXAMPLES if page == "README.md"}
    largest = shown["weightscope tensors fixtures/llama --sort bytes --top 10"]
    assert "\n10 of 30 tensors, " in largest
    assert largest.index("model.embed_tokens.weight") < largest.index("model.layers.0.mlp.gate_proj.weight")
    assert "error unknown-architecture  model type 'mini'" in shown["weightscope check fixtures/llama fixtures/mini"]
    meaning = next(out for command, out in shown.items() if command.startswith("weightscope explain "))
    assert "k = rope(k_proj·x)" in meaning


def test_the_readme_says_that_there_is_no_telemetry() -> None:
    assert "no telemetry" in (ROOT / "README.md").read_text()


def test_python_sessions_are_true(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    sessions = [block for _, language, block in BLOCKS if language == "pycon" and "ws.open" in block]
    assert sessions
    for session in sessions:
        test = doctest.DocTestParser().get_doctest(session, {}, "session", None, 0)
        assert len(test.examples) >= 5
        assert doctest.DocTestRunner(verbose=False).run(test).failed == 0


def test_the_smallest_sum() -> None:
    results = doctest.testfile(str(ROOT / "docs" / "counting.md"), module_relative=False)
    assert results.attempted >= 10
    assert results.failed == 0


def test_readme_python_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    code = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert code
    monkeypatch.chdir(ROOT)
    names: dict[str, object] = {}
    exec(code[1], names)
    model, tensor = names["model"], names["tensor"]
    assert model.parameters.total == 28296  # type: ignore[attr-defined]
    assert (tensor.role, tensor.shape, tensor.dtype) == ("final_norm", (24,), "BF16")  # type: ignore[attr-defined]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_documented_and_shows_an_example(command: str) -> None:
    model = {"cache": "", "diff": " A B", "mcp": " --allow DIR"}.get(command, " MODEL")
    assert f"`weightscope {command}{model}" in (ROOT / "README.md").read_text()
    shown = run(f"weightscope {command} --help").stdout
    assert re.search(rf"Examples:\n    weightscope {command}\b", shown)


def test_no_page_installs_the_unrelated_distribution() -> None:
    for page in PAGES:
        assert not re.search(r"install\s+['\"]?weightscope(?!-cli)", page.read_text()), page


def test_the_readme_has_no_relative_links_on_pypi() -> None:
    """PyPI shows it apart from the repository: the build makes its links absolute."""
    text = (ROOT / "README.md").read_text()
    hooks = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["metadata"]["hooks"]
    for rule in hooks["fancy-pypi-readme"]["substitutions"]:
        text = re.sub(rule["pattern"], rule["replacement"], text)
    targets = re.findall(r"\]\(([^)]+)\)", text)
    assert all(target.startswith(("https://", "#")) for target in targets)
    assert any(target.startswith("https://raw.githubusercontent.com/") for target in targets)
    assert any(target.endswith("/docs/findings.md#convention-mismatch") for target in targets)


def test_no_page_has_marks_of_a_merge() -> None:
    for page in [*PAGES, ROOT / "CHANGELOG.md"]:
        assert not re.search(r"^(?:<{7}|>{7}) ", page.read_text(), re.MULTILINE), page


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
