"""The commands as Click has them, for whatever is written from their help."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from weightscope.commands.app import app_for

if TYPE_CHECKING:
    import click


def command_named(name: str) -> click.Command:
    """A command by its name."""
    root = typer.main.get_command(app_for([name]))
    return root.commands[name]  # type: ignore[attr-defined, no-any-return]


def parts_of(command: click.Command) -> tuple[str, str, str]:
    """The help of a command: its first sentence, what follows, and the examples."""
    text, _, examples = (command.help or "").partition("\b")
    summary, _, rest = text.strip().partition("\n\n")
    return summary, rest.strip(), examples.partition("Examples:")[2].strip("\n")
