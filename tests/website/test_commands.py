"""The pages of commands are what the command line and the examples' output say today."""

from __future__ import annotations

import pytest

from website.commands import FOLDER, index, page
from website.examples import SHOWN
from weightscope.commands.app import COMMANDS


@pytest.mark.parametrize("name", COMMANDS)
def test_a_page_is_up_to_date(name: str) -> None:
    """Otherwise: `python -m website.commands`."""
    assert (FOLDER / f"{name}.md").read_text() == page(name)


def test_the_index_is_up_to_date() -> None:
    assert (FOLDER / "index.md").read_text() == index()
    assert {path.stem for path in FOLDER.glob("*.md")} == {"index", *COMMANDS}


def test_examples_are_of_their_command() -> None:
    assert set(SHOWN) <= set(COMMANDS)
    for name, shown in SHOWN.items():
        assert all(example.line.startswith(f"weightscope {name} ") for example in shown.examples)


def test_a_page_says_what_its_command_does() -> None:
    written = page("memory")
    for line in (
        "| `--context N` | Tokens a sequence. Default: as many as it was trained on. At least 1. |",
        "| `--zero STAGE` | ZeRO stage over `--gpus`; 3 is FSDP. Default: `0`. From 0 to 3. |",
        "| `-f, --format` | Output format. One of `table`, `json`, `markdown`, `csv`. Default: `table`. |",
        "| 1 | with `--gpu`: it does not fit |",
        "State        96 B per token, of each sequence",
    ):
        assert f"\n{line}\n" in written
