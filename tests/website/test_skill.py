"""The skill is what the commands say today, and in the form that agents read: https://agentskills.io/specification."""

from __future__ import annotations

import re
from typing import Any

import yaml

from website.skill import PAGE, QUESTIONS, page
from weightscope.commands.app import COMMANDS
from weightscope.commands.tree import command_named

WRITTEN = PAGE.read_text(encoding="utf-8")


def test_it_is_up_to_date() -> None:
    """Otherwise: `python -m website.skill`."""
    assert page() == WRITTEN


def test_its_head_is_as_the_format_says() -> None:
    head, body = re.fullmatch(r"---\n(.*?)\n---\n(.*)", WRITTEN, re.DOTALL).groups()  # type: ignore[union-attr]
    fields: dict[str, Any] = yaml.safe_load(head)
    assert set(fields) == {"name", "description"}
    assert fields["name"] == PAGE.parent.name
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", fields["name"])
    assert 0 < len(fields["description"]) <= 1024
    # The whole is read into the context of a model.
    assert len(body.splitlines()) < 500


def test_every_command_is_in_it_and_every_option_is_one() -> None:
    assert set(QUESTIONS) <= set(COMMANDS)
    for name in COMMANDS:
        assert f"\n### {name}\n" in WRITTEN
        known = {option for param in command_named(name).params for option in (*param.opts, *param.secondary_opts)}
        for line in re.findall(rf"^weightscope {name} .*$", WRITTEN, re.MULTILINE):
            assert {word for word in line.split() if word.startswith("--")} <= known


def test_fields_are_those_of_the_documents() -> None:
    for words in ("`findings`[]{`code`, `severity`, `message`", "`tensors`{`total`, `recognized`, `unrecognized`}"):
        assert words in WRITTEN
