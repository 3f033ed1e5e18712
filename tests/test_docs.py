"""The documentation is true: its commands print what it shows, its code runs, and every command is in it."""

from __future__ import annotations

import doctest
import os
import re
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    ROOT / "fixtures" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
BLOCK = re.compile(r"```console\n\$ (weightscope [^\n]*)\n(.*?)```", re.DOTALL)
EXAMPLES = [(page.name, *match.groups()) for page in PAGES for match in BLOCK.finditer(page.read_text())]


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
    assert len(EXAMPLES) >= 4


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


@pytest.mark.parametrize("command", ["inspect", "params", "tensors", "explain", "check", "forward", "cache"])
def test_every_command_is_documented_and_shows_an_example(command: str) -> None:
    model = "" if command == "cache" else " MODEL"
    assert f"`weightscope {command}{model}" in (ROOT / "README.md").read_text()
    shown = run(f"weightscope {command} --help").stdout
    assert re.search(rf"Examples:\n    weightscope {command}\b", shown)


def test_no_page_installs_the_unrelated_distribution() -> None:
    for page in PAGES:
        assert not re.search(r"install\s+['\"]?weightscope(?!-cli)", page.read_text()), page


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
