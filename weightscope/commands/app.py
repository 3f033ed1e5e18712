"""The table of contents of the command line."""

from __future__ import annotations

from typing import Annotated

import typer

from weightscope import __version__
from weightscope.commands.cache import cache
from weightscope.commands.check import check
from weightscope.commands.explain import explain
from weightscope.commands.forward import forward
from weightscope.commands.inspect import inspect
from weightscope.commands.params import params
from weightscope.commands.tensors import tensors

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
