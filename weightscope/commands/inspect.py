"""`weightscope inspect`: what is this?"""

from __future__ import annotations

from typing import Annotated

import typer

from weightscope.commands.options import (
    FormatOption,
    ModelPath,
    OutputOption,
    VariantOption,
    open_quietly,
    own_files,
    refuse_incomplete,
)
from weightscope.output.write import Format, emit


def inspect(
    model: ModelPath,
    format: FormatOption = Format.TABLE,
    output: OutputOption = None,
    variant: VariantOption = None,
    values: Annotated[
        bool, typer.Option("--values", help="Read embedding and head to see whether they are equal.")
    ] = False,
) -> None:
    """What is this: family, size, parameters, anything wrong.

    Reads the files' headers only, so the size of the weights does not matter.

    \b
    Examples:
      weightscope inspect ./Llama-3.1-8B
      weightscope inspect ./model.safetensors --format json
    """
    from weightscope.output.progress import Progress

    opened = open_quietly(model, variant)
    from weightscope.output.views import inspect_document

    if values:
        with Progress("Comparing") as progress:
            opened.compare_tied_values(progress)
    emit(inspect_document(opened.summary()), format, output, own_files(opened))
    # What is here was shown; that it is not all is still a failure.
    refuse_incomplete(opened)
