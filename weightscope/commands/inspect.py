"""`weightscope inspect`: what is this?"""

from __future__ import annotations

from typing import Annotated

import typer

from weightscope.commands.options import FormatOption, ModelPath, OutputOption, VariantOption, open_quietly, own_files
from weightscope.errors import CheckpointError
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
    """What is this? Format, family, size, parameters per component, anything wrong.

    Reads headers only: a 700 GB checkpoint takes as long as its file names.

    \b
    Examples:
      weightscope inspect ./Llama-3.1-8B
      weightscope inspect ./model.safetensors --format json
    """
    from weightscope.output.views import inspect_document

    opened = open_quietly(model, variant)
    if values:
        opened.compare_tied_values()
    emit(inspect_document(opened.summary()), format, output, own_files(opened))
    for finding in opened.checkpoint.findings:
        # What is here was shown; that it is not all is still a failure.
        if finding.code == "missing-shard":
            raise CheckpointError(finding.message, where=model, hint=finding.hint, code=finding.code)
