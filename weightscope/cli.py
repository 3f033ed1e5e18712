"""The command line: its table of contents, and the one place where errors become words and exit codes."""

from __future__ import annotations

import gc
import os
import sys
from typing import Annotated

import typer

from weightscope import __version__
from weightscope.commands.check import check
from weightscope.commands.inspect import inspect
from weightscope.commands.params import params
from weightscope.commands.tensors import tensors
from weightscope.errors import WeightscopeError, one_line

app = typer.Typer(
    name="weightscope",
    help="Look inside model checkpoints: what the tensors are, and where the parameters live.",
    no_args_is_help=True,
    # Rich's help costs more to import than some commands take to run.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

app.command()(inspect)
app.command()(params)
app.command()(tensors)
app.command()(check)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"weightscope {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Options before the command."""


def main() -> None:
    """Run the command line; exit codes are 0 fine, 1 found something, 2 could not be done."""
    # A run is short and keeps what it reads: collecting garbage only costs time.
    gc.disable()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except WeightscopeError as error:
        _fail(str(error), 2)
    except BrokenPipeError:
        # The reader left, as `head` does; what is still buffered must not be complained about at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except KeyboardInterrupt:
        _fail("interrupted", 130)
    except OSError as error:
        _fail(f"{error.filename or 'input'}: {error.strerror or error}", 2)
    finally:
        # The interpreter collects once more as it ends, over all that is not told to be permanent.
        gc.freeze()


def _fail(message: str, code: int) -> None:
    print(f"weightscope: {one_line(message)}", file=sys.stderr)
    sys.exit(code)
