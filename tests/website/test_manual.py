"""The manual pages are what the command line says today, and manual readers take them."""

from __future__ import annotations

import shutil
import subprocess
import tomllib

import pytest

from website.manual import FOLDER, page, pages
from weightscope.commands.app import COMMANDS


def test_they_are_up_to_date() -> None:
    """Otherwise: `python -m website.manual`."""
    written = pages()
    assert sorted(FOLDER.iterdir()) == sorted(written)
    for path, text in written.items():
        assert path.read_text(encoding="ascii") == text, path.name


def test_the_wheel_installs_them() -> None:
    project = tomllib.loads((FOLDER.parent / "pyproject.toml").read_text())
    build = project["tool"]["hatch"]["build"]["targets"]
    assert build["wheel"]["shared-data"] == {"man": "share/man/man1"}
    assert "man" in build["sdist"]["include"]


@pytest.mark.skipif(not shutil.which("mandoc"), reason="needs mandoc")
@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.1")), ids=lambda path: path.name)
def test_mandoc_finds_nothing_wrong(path: object) -> None:
    done = subprocess.run(["mandoc", "-Tlint", "-Wall", str(path)], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


@pytest.mark.skipif(not shutil.which("mandoc"), reason="needs mandoc")
def test_a_reader_sees_what_the_help_says() -> None:
    done = subprocess.run(
        ["mandoc", "-Tutf8", "-Owidth=200", str(FOLDER / "weightscope-memory.1")],
        capture_output=True, text=True, check=True, encoding="utf-8",
    )  # fmt: skip
    plain = subprocess.run(["col", "-b"], input=done.stdout, capture_output=True, text=True, check=True).stdout
    for words in (
        "weightscope-memory - say what it takes to load, serve or train a model",
        "--kv-dtype DTYPE",
        "Load weights as METHOD would store them: fp8, gptq:bits=8, Q4_K_M, …",
        "weightscope memory ./Llama-3.1-8B --context 32768 --batch 8",
    ):
        assert words in plain


@pytest.mark.skipif(not shutil.which("man"), reason="needs man")
def test_man_shows_them() -> None:
    done = subprocess.run(
        ["man", "-l", str(FOLDER / "weightscope-check.1")], capture_output=True, text=True, check=True,
        env={"PATH": "/usr/bin:/bin", "MANPAGER": "cat", "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    assert "EXIT STATUS" in done.stdout
    assert done.stderr == ""


def test_nothing_of_a_text_is_an_order_to_roff() -> None:
    for name in COMMANDS:
        lines = page(name).splitlines()
        orders = {line.split()[0] for line in lines if line.startswith((".", "'"))}
        assert orders <= {'.\\"', ".TH", ".SH", ".TP", ".PP", ".B", ".BR", ".nf", ".fi"}
