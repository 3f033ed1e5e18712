"""The manual pages in man/, from the command line itself.

`python -m website.manual` writes them; tests/website/test_manual.py says when that is due.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from textwrap import wrap

import typer
from typer.core import TyperArgument, TyperOption

from website.examples import SHOWN
from website.terminal import ROOT
from weightscope import __version__
from weightscope.commands.app import COMMANDS
from weightscope.commands.tree import command_named, described, help_of

FOLDER = ROOT / "man"
# The day on which what is said here last changed; set by hand.
DATE = "2026-11-26"
WIDTH = 78
MADE = '.\\" Written by `python -m website.manual`; a test fails when it is out of date.'
# Where roff reads something else: what stands first in a line, hyphens that a reader may copy, other scripts.
ESCAPES = {"\\": "\\(rs", "-": "\\-", "'": "\\(aq", "^": "\\(ha", "~": "\\(ti", "`": "\\(ga"}
ABOUT = (
    "Says what a model is, where its parameters are, what each tensor does, and whether the weights fit config.json. "
    "Only headers are read, unless values are asked for."
)
SETTINGS = (
    ("HF_HOME, HF_HUB_CACHE", "The local Hugging Face cache."),
    ("HF_HUB_OFFLINE", "If it is 1, no server is asked."),
    ("HF_TOKEN", "The token for models that are private or gated."),
    ("NO_COLOR, FORCE_COLOR", "No colours; colours where the output is no terminal."),
)
FILES = (("weightscope.toml, pyproject.toml", "Settings of a project for check: fail-on, ignore, values."),)
ENDINGS = ("it could not be done: one line on standard error says why", "Ctrl-C")


def pages() -> dict[Path, str]:
    """Every manual page, by its file."""
    written = {FOLDER / "weightscope.1": whole()}
    return written | {FOLDER / f"weightscope-{name}.1": page(name) for name in COMMANDS}


def whole() -> str:
    """The page of the command line."""
    return _joined(
        _title("weightscope"),
        [".SH NAME", "weightscope \\- look inside model checkpoints"],
        [".SH SYNOPSIS", ".B weightscope", "\\fICOMMAND\\fR [\\fIOPTIONS\\fR] \\fIMODEL\\fR"],
        [".SH DESCRIPTION", *_lines(ABOUT)],
        [".SH COMMANDS", *_list(COMMANDS.items())],
        [".SH OPTIONS", *_list([("-h, --help", "Show the help, also of a command."), ("--version", "Show the version."),
         ("--install-completion", "Set up completion for bash, zsh or fish.")])],
        _endings("it looked, and found something: the page of each command says what"),
        [".SH ENVIRONMENT", *_list(SETTINGS)],
        [".SH FILES", *_list(FILES)],
        _see_also(f"weightscope-{name}" for name in COMMANDS),
    )  # fmt: skip


def page(name: str) -> str:
    """The page of one command."""
    command = command_named(name)
    context, told = typer.Context(command, info_name=f"weightscope {name}"), help_of(command)
    usage = " ".join(command.collect_usage_pieces(context))
    return _joined(
        _title(f"weightscope-{name}"),
        [".SH NAME", *_lines(f"weightscope-{name} - {told.summary[0].lower()}{told.summary[1:].rstrip('.')}")],
        [".SH SYNOPSIS", f".B weightscope {name}", *_lines(usage)],
        [".SH DESCRIPTION", *_lines(told.summary)],
        [line for paragraph in told.paragraphs for line in (".PP", *_lines(paragraph))],
        _section("ARGUMENTS", described(context, TyperArgument)),
        _section("OPTIONS", described(context, TyperOption)),
        [".SH EXAMPLES", ".nf", *(_plain(_text(line)) for line in told.examples), ".fi"] if told.examples else [],
        _endings(SHOWN[name].found if name in SHOWN else ""),
        _see_also(["weightscope"]),
    )


def _title(name: str) -> list[str]:
    return [MADE, f'.TH {name.upper()} 1 {DATE} "weightscope {__version__}" "weightscope"']


def _section(title: str, records: Sequence[tuple[str, str]]) -> list[str]:
    return [f".SH {title}", *_list(records)] if records else []


def _list(rows: Iterable[tuple[str, str]]) -> list[str]:
    return [line for left, right in rows for line in (".TP", f"\\fB{_text(left)}\\fR", *_lines(right))]


def _endings(found: str) -> list[str]:
    codes = [("0", "fine"), *([("1", found)] if found else []), ("2", ENDINGS[0]), ("130", ENDINGS[1])]
    return [".SH EXIT STATUS", *_list(codes)]


def _see_also(names: Iterable[str]) -> list[str]:
    *others, last = names
    return [".SH SEE ALSO", *(f".BR {_text(name)} (1)," for name in others), f".BR {_text(last)} (1)"]


def _lines(text: str) -> list[str]:
    """A text on as many lines as it takes; where one ends is of no account."""
    return [_plain(line) for line in wrap(_text(text), WIDTH, break_long_words=False, break_on_hyphens=False)]


def _plain(line: str) -> str:
    """A line that is no order to roff."""
    return f"\\&{line}" if line.startswith(".") else line


def _text(text: str) -> str:
    """A text as roff spells it, on one line."""
    flat = " ".join(text.replace("`", "").split())
    return "".join(ESCAPES.get(char) or (char if char.isascii() else f"\\[u{ord(char):04X}]") for char in flat)


def _joined(*sections: Sequence[str]) -> str:
    return "\n".join(line for section in sections for line in section) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for path, written in pages().items():
        path.write_text(written, encoding="ascii")
