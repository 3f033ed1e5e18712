"""`weightscope report`: one page to open, with all that the other commands say."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from weightscope.api.complete import refuse_incomplete
from weightscope.commands.options import (
    BaseOption,
    ModelPath,
    VariantOption,
    open_quietly,
    own_files,
)
from weightscope.errors import UsageError
from weightscope.output.write import put


def report(
    model: ModelPath,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write the page to FILE.  [default: standard output]"),
    ] = None,
    variant: VariantOption = None,
    base: BaseOption = None,
) -> None:
    """Write an HTML page about a model: treemap, architecture, findings, memory.

    The page is one file that loads nothing from elsewhere, and can be sent and kept. A config.json alone is enough.

    \b
    Examples:
      weightscope report ./Llama-3.1-8B -o llama.html
      weightscope report config.json > model.html
    """
    if output is None and sys.stdout.isatty():
        raise UsageError("a page is not for a terminal", hint="-o FILE writes it to a file")
    from weightscope.output.report.model_page import model_page
    from weightscope.output.report.taking import take

    opened = open_quietly(model, variant, base, tolerant=True)
    contents = take(opened)
    put(model_page(contents), output, own_files(opened))
    refuse_incomplete(opened)
