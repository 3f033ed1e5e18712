"""The table of contents of the command line."""

# Without `from __future__ import annotations`, as `inspect.py` is.
import os
import signal
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated

import typer

from weightscope import __version__

# Each is a function of the same name in a file of the same name, whose help begins with these words.
COMMANDS = {
    "inspect": "Summarize a checkpoint: family, size, parameters, faults.",
    "params": "Count parameters by component, role, layer, dtype or module.",
    "tensors": "List tensors: role, shape, dtype, size, file.",
    "explain": "Explain a tensor: role, equation, shape, neighbours.",
    "check": "Check weights against config.json, for CI.",
    "forward": "Run a reference forward pass, layer by layer.",
    "stats": "Read every value: range, mean, zeros, NaN, and what stands out.",
    "lock": "Write a lock file: a digest of each weight by role and layer.",
    "diff": "Compare two models by role: weights, shapes, dtypes, config.",
    "memory": "Say what it takes to load, serve or train a model.",
    "report": "Write an HTML page about a model, or about how two differ.",
    "browse": "Browse a model in the terminal: tree, tensors, findings.",
    "cache": "List the models in the local Hugging Face cache.",
    "mcp": "Serve read-only tools to coding agents over MCP, on stdio.",
}
# Nobody waits longer for Tab, as a slow disk may have it.
COMPLETING_SECONDS = 5


def app_for(arguments: Sequence[str]) -> typer.Typer:
    """The command line with the command that is named first; with all of them where none is.

    To import and describe the others takes longer than to read a small checkpoint. The list of commands imports none.
    """
    named = [name for name in COMMANDS if name in arguments[:1]]
    listed = list(arguments) in (["-h"], ["--help"])
    app = typer.Typer(
        name="weightscope",
        help="Look inside model checkpoints: list tensors, count parameters, check weights, run a forward pass.",
        # Rich's help costs more to import than some commands take to run.
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    app.callback()(_root)
    for name in named or COMMANDS:
        if listed:
            app.command(name, help=COMMANDS[name])(_listed)
        else:
            app.command()(getattr(import_module(f"weightscope.commands.{name}"), name))
    return app


def complete() -> int:
    """Answer the shell, which puts what is typed into a variable; whatever goes wrong, it is offered nothing."""
    typed = os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS") or ""
    # Whoever presses Tab asks no server for anything.
    os.environ["HF_HUB_OFFLINE"] = "1"
    if hasattr(signal, "alarm"):
        signal.alarm(COMPLETING_SECONDS)
    try:
        app_for(typed.split()[1:2])([], prog_name="weightscope", standalone_mode=False)
    except Exception:  # noqa: BLE001 - a line on the terminal would spoil what is being typed
        return 1
    return 0


def __getattr__(name: str) -> object:
    """`app`, with all commands."""
    if name == "app":
        return app_for(())
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _listed() -> None:
    """A command in the list of commands, which nobody runs."""


def _version(wanted: bool) -> None:
    if wanted:
        print(f"weightscope {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Options before the command."""
