"""`weightscope tensors`: which tensors are there?"""

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
from weightscope.errors import UsageError
from weightscope.output.write import Format, emit


def tensors(
    model: ModelPath,
    pattern: Annotated[
        str | None, typer.Argument(show_default=False, help="Names to show, with * and ? as in file names.")
    ] = None,
    role: Annotated[list[str] | None, typer.Option("--role", help="Only this role; may be repeated.")] = None,
    layer: Annotated[
        list[str] | None, typer.Option("--layer", help="Only this layer, or 3-7; may be repeated.")
    ] = None,
    dtype: Annotated[list[str] | None, typer.Option("--dtype", help="Only this dtype; may be repeated.")] = None,
    expand: Annotated[
        bool, typer.Option("--expand", help="One row a tensor, not one a group of like tensors.")
    ] = False,
    format: FormatOption = Format.TABLE,
    output: OutputOption = None,
    variant: VariantOption = None,
) -> None:
    """Which tensors there are: role, shape, dtype, file.

    Tables show like tensors of all layers as one row; JSON and CSV list each.

    \b
    Examples:
      weightscope tensors ./Llama-3.1-8B "*layers.0.*"
      weightscope tensors ./Llama-3.1-8B --role q_proj --format csv
    """
    from weightscope.analyses.listing import Filter

    wanted = Filter.of(pattern, role or (), layer or (), dtype or ())
    opened = open_quietly(model, variant)
    from weightscope.output.tensors import tensors_document

    refuse_incomplete(opened)
    if dtype and not opened.checkpoint.tensors:
        raise UsageError(
            "--dtype needs weights", where=model, hint="a config or an index alone does not say what is stored"
        )
    listed = [(group, row) for group, row in opened.listing() if wanted.fits(row)]
    document = tensors_document(opened.summary(), listed, total=len(opened.checkpoint.names), expand=expand)
    emit(document, format, output, own_files(opened))
