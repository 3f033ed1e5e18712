"""`weightscope mcp`: the same answers for coding agents, over the Model Context Protocol."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from weightscope.commands.several import note
from weightscope.errors import UsageError

if TYPE_CHECKING:
    from weightscope.mcp.described import Described

# What only a command line has: "may be repeated", "[default: error]".
OF_A_COMMAND_LINE = re.compile(r"; may be repeated|\s*\[default: .*\]")


def mcp(
    allow: Annotated[
        list[Path] | None,
        typer.Option("--allow", metavar="DIR", help="Let the client read models in this folder; may be repeated."),
    ] = None,
    allow_hub: Annotated[
        bool, typer.Option("--allow-hub", help="Let the client name models of the Hugging Face Hub (org/name).")
    ] = False,
    timeout: Annotated[
        int, typer.Option("--timeout", metavar="SECONDS", min=1, max=3600, help="Time limit of a call.")
    ] = 60,
) -> None:
    """Serve read-only tools to coding agents over MCP, on stdio.

    The tools are inspect, check, explain, tensors, diff and memory. They read below the folders that --allow names,
    and nothing else. Needs the extra: pip install 'weightscope-cli[mcp]'.

    \b
    Examples:
      weightscope mcp --allow ~/models
      weightscope mcp --allow ./checkpoints --allow-hub
    """
    from weightscope.mcp.allowed import Allowed
    from weightscope.mcp.asked import TOOLS

    allowed = Allowed.of(allow or (), hub=allow_hub)
    try:
        from weightscope.mcp.server import serve
    except ModuleNotFoundError as error:
        raise UsageError(
            f"the MCP server needs a package that is not installed ({error.name})",
            hint="pip install 'weightscope-cli[mcp]'",
        ) from None
    # Closed already: the client is gone.
    if not sys.stdin:
        return
    if sys.stdin.isatty():
        note("a client starts this and speaks MCP on standard input; Ctrl-C ends it")
    serve(allowed, {tool: _described(tool) for tool in TOOLS}, timeout)


def _described(name: str) -> Described:
    from weightscope.commands.tree import command_named, help_of
    from weightscope.mcp.described import Described

    command = command_named(name)
    helps = ((option.name, getattr(option, "help", None)) for option in command.params)
    return Described(
        summary=help_of(command).summary,
        options={parameter: OF_A_COMMAND_LINE.sub("", text) for parameter, text in helps if parameter and text},
    )
