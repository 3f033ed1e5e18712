"""`weightscope params`: where do the parameters live?"""

from __future__ import annotations

from enum import StrEnum
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
from weightscope.errors import UsageError
from weightscope.output.write import Format, emit


class By(StrEnum):
    """The axis of a breakdown."""

    COMPONENT = "component"
    ROLE = "role"
    LAYER = "layer"
    DTYPE = "dtype"
    QUANTIZATION = "quantization"
    MODULE = "module"


def params(
    model: ModelPath,
    by: Annotated[By, typer.Option("--by", help="What to break the parameters down by.")] = By.COMPONENT,
    depth: Annotated[
        int | None, typer.Option("--depth", min=1, help="With --by module: the first words of the path only.")
    ] = None,
    format: FormatOption = Format.TABLE,
    output: OutputOption = None,
    variant: VariantOption = None,
) -> None:
    """Where the parameters live: component, role, layer, ….

    A config.json alone is enough: it says what the architecture should hold.

    \b
    Examples:
      weightscope params ./Llama-3.1-8B --by layer
      weightscope params config.json
    """
    if depth is not None and by is not By.MODULE:
        raise UsageError("--depth goes with --by module")
    opened = open_quietly(model, variant)
    from weightscope.output.views import params_document

    refuse_incomplete(opened)
    if by is By.DTYPE and not opened.checkpoint.tensors:
        raise UsageError(
            "--by dtype needs weights", where=model, hint="a config or an index alone does not say what is stored"
        )
    if opened.checkpoint.format == "index" and opened.declaration is None:
        raise UsageError(
            "an index gives names and total size, no shapes", where=model, hint="put the model's config.json beside it"
        )
    document = params_document(opened.summary(), by.value, opened.breakdown(by.value, depth))
    emit(document, format, output, own_files(opened))
