"""The pages of docs/commands/, from the command line itself and from examples that are run.

`python -m website.commands` writes them; tests/website/test_commands.py says when that is due.
"""

from __future__ import annotations

import re
from pathlib import Path

import typer
from typer.core import TyperArgument, TyperCommand, TyperOption

from website.examples import SHOWN, Example, Shown
from website.terminal import ROOT, printed
from weightscope.commands.app import COMMANDS
from weightscope.commands.tree import command_named, described, help_of

FOLDER = ROOT / "docs" / "commands"
MADE = "<!-- Written by `python -m website.commands`; a test fails when it is out of date. -->"
# The help of an option ends in what it is if nobody says, and what it may be: `[default: 5; 1<=x<=1000]`.
BOUNDS = re.compile(r"\s+\[((?:default: |required|x>=|[\d.]+<=)[^\]]*)\]")
LOWEST, BETWEEN = re.compile(r"x>=(.+)"), re.compile(r"(.+)<=x<=(.+)")
CODE = re.compile(r"(?<![\w`-])(--format json|pip install '[^']+'|--[a-z][\w-]*|[\w*.]+\.json)(?![\w`])")
CHOICES = re.compile(r" <([^>]*)>")
INDEX = f"""\
# Commands

{MADE}

| command | what it does |
| --- | --- |
%s
Every command ends with one of these exit codes:

| code | meaning |
| ---: | --- |
| 0 | fine |
| 1 | it looked, and found something: the page of each command says what |
| 2 | it could not be done: bad usage, an unreadable file, a missing shard, no such repository, no network |
| 130 | Ctrl-C |

Only the result goes to standard output. An error is one line on standard error, never a traceback.

`FORCE_COLOR=1` colours output that goes elsewhere than to a terminal, `NO_COLOR=1` colours nothing.
`weightscope --install-completion` sets up completion for your shell.
"""


def index() -> str:
    """The table of all commands."""
    return INDEX % "".join(
        f"| [`weightscope {name}`]({name}.md) | {_text(said)} |\n" for name, said in COMMANDS.items()
    )


def page(name: str) -> str:
    """The page of one command."""
    command, shown = command_named(name), SHOWN.get(name, Shown())
    context = typer.Context(command, info_name=f"weightscope {name}")
    parts = [
        f"# weightscope {name}",
        MADE,
        _description(command),
        f"```text\n{context.get_usage().removeprefix('Usage: ')}\n```",
        shown.more,
        _table("Arguments", "argument", described(context, TyperArgument)),
        _table("Options", "option", described(context, TyperOption)),
        _examples(shown.examples),
        _exit_codes(shown.found),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _description(command: TyperCommand) -> str:
    """Its help without the examples, which are shown with their output."""
    told = help_of(command)
    return "\n\n".join(_text(paragraph) for paragraph in (told.summary, *told.paragraphs))


def _text(help: str) -> str:
    """Help as Markdown: on one line, its options and files as code."""
    return CODE.sub(r"`\1`", " ".join(help.split()))


def _table(title: str, kind: str, records: list[tuple[str, str]]) -> str:
    if not records:
        return ""
    rows = [f"| {_name(left)} | {_meaning(left, right)} |" for left, right in records]
    return "\n".join([f"## {title}\n", f"| {kind} | meaning |", "| --- | --- |", *rows])


def _name(left: str) -> str:
    return f"`{CHOICES.sub('', left)}`"


def _meaning(left: str, right: str) -> str:
    """What an option does, which values it takes, and which it has if nobody says."""
    sentences = [_text(BOUNDS.sub("", right))]
    if choices := CHOICES.search(left):
        sentences.append(f"One of {', '.join(f'`{choice}`' for choice in choices[1].split('|'))}.")
    bounds = [bound for group in BOUNDS.findall(right) for bound in group.split("; ")]
    return " ".join([*sentences, *filter(None, map(_bound, bounds))])


def _bound(bound: str) -> str:
    """A bound as click writes it, in words."""
    if bound.startswith("default: "):
        value = bound.removeprefix("default: ")
        return f"Default: {value if ' ' in value else f'`{value}`'}."
    if lowest := LOWEST.fullmatch(bound):
        return f"At least {lowest[1]}."
    if between := BETWEEN.fullmatch(bound):
        return f"From {between[1]} to {between[2]}."
    return "" if bound == "required" else f"`{bound}`."


def _examples(examples: tuple[Example, ...]) -> str:
    if not examples:
        return ""
    blocks = [f"{shown.caption}\n\n```console\n$ {shown.line}\n{printed(shown.line)}```" for shown in examples]
    return "\n\n".join(["## Examples", *blocks])


def _exit_codes(found: str) -> str:
    rows = ["| 0 | fine |", *([f"| 1 | {found} |"] if found else []), "| 2 | it could not be done: one line says why |"]
    return "\n".join(["## Exit codes\n", "| code | when |", "| ---: | --- |", *rows])


def pages() -> dict[Path, str]:
    """Every page, by its file."""
    return {FOLDER / "index.md": index()} | {FOLDER / f"{name}.md": page(name) for name in COMMANDS}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
