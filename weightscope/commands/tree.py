"""The commands as Typer has them, for whatever is written from their help."""

from __future__ import annotations

import msgspec
import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from weightscope.commands.app import app_for


class Help(msgspec.Struct, frozen=True, kw_only=True):
    """The help of a command: its first sentence, the paragraphs after it, and its examples, one a line."""

    summary: str
    paragraphs: tuple[str, ...]
    examples: tuple[str, ...]


def command_named(name: str) -> TyperCommand:
    """A command by its name."""
    group = typer.main.get_command(app_for([name]))
    assert isinstance(group, TyperGroup)
    command = group.commands[name]
    assert isinstance(command, TyperCommand)
    return command


def help_of(command: TyperCommand) -> Help:
    """Its help, taken apart."""
    text, _, examples = (command.help or "").partition("\b")
    summary, *rest = (" ".join(paragraph.split()) for paragraph in text.strip().split("\n\n"))
    lines = (line.strip() for line in examples.partition("Examples:")[2].splitlines())
    return Help(summary=summary, paragraphs=tuple(rest), examples=tuple(filter(None, lines)))


def described(context: typer.Context, kind: type[TyperArgument | TyperOption]) -> list[tuple[str, str]]:
    """How each argument or each option of a command is written, and what its help says of it."""
    params = (param for param in context.command.params if isinstance(param, kind))
    return [record for param in params if (record := param.get_help_record(context))]
