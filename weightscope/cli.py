"""The command line: its table of contents, and the one place where errors become words and exit codes."""

from __future__ import annotations

import gc
import os
import sys
from typing import Annotated, NoReturn

import typer

from weightscope import __version__
from weightscope.commands.cache import cache
from weightscope.commands.check import check
from weightscope.commands.explain import explain
from weightscope.commands.forward import forward
from weightscope.commands.inspect import inspect
from weightscope.commands.params import params
from weightscope.commands.tensors import tensors
from weightscope.errors import WeightscopeError, one_line
from weightscope.interrupts import ignore_interrupts, watch_interrupts

# 128 and the number of SIGINT, as shells have it.
INTERRUPTED = 130

app = typer.Typer(
    name="weightscope",
    help="Look inside model checkpoints: what the tensors are, where the parameters live, whether they compute.",
    # Rich's help costs more to import than some commands take to run.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

app.command()(inspect)
app.command()(params)
app.command()(tensors)
app.command()(explain)
app.command()(check)
app.command()(forward)
app.command()(cache)


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
    watch_interrupts()
    _open_streams()
    try:
        code = app(sys.argv[1:] or ["--help"], prog_name="weightscope", standalone_mode=False) or 0
        # What typer makes of Ctrl-C.
        if code == INTERRUPTED:
            _fail("interrupted", INTERRUPTED)
        sys.exit(code)
    except WeightscopeError as error:
        _fail(str(error), 2)
    except BrokenPipeError:
        # The reader left, as `head` does; what is still buffered must not be complained about at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except KeyboardInterrupt:
        _fail("interrupted", INTERRUPTED)
    except OSError as error:
        _fail(f"{error.filename or 'standard output'}: {error.strerror or error}", 2)
    except (MemoryError, RecursionError):
        _fail("out of memory: the files say more than this machine can hold", 2)
    except Exception as error:  # noqa: BLE001 - whatever it is, a user gets one line
        _report(error)
    finally:
        # The interpreter collects once more as it ends, over all that is not told to be permanent.
        gc.freeze()


def _open_streams() -> None:
    """A stream that the caller closed is one that nobody reads; no name may be one that a stream cannot take."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name) or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - for the whole run
        setattr(sys, name, stream)
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _report(error: Exception) -> NoReturn:
    """Bad usage as one line; a fault of our own as one line too, with the way to the rest."""
    if type(error).__name__ == "Abort":
        _fail("interrupted", INTERRUPTED)
    if hasattr(error, "format_message"):
        _fail(f"{error.format_message()} See weightscope --help.", 2)
    if os.environ.get("WEIGHTSCOPE_TRACEBACK"):
        raise error
    _fail(f"a fault of weightscope itself ({type(error).__name__}: {error}); WEIGHTSCOPE_TRACEBACK=1 shows where", 2)


def _fail(message: str, code: int) -> NoReturn:
    if code == INTERRUPTED:
        ignore_interrupts()
    print(f"weightscope: {one_line(message)}", file=sys.stderr)
    sys.exit(code)
