"""`weightscope tensors`: which tensors are there?"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from weightscope.commands.options import (
    ExactOption,
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


class SortBy(StrEnum):
    """What to sort tensors by."""

    NAME = "name"
    PARAMETERS = "parameters"
    BYTES = "bytes"
    LAYER = "layer"


def tensors(
    model: ModelPath,
    pattern: Annotated[
        str | None,
        typer.Argument(show_default=False, help="Names to show: * and ? as in file names, {} or {0-3} for numbers."),
    ] = None,
    role: Annotated[list[str] | None, typer.Option("--role", help="Only this role; repeatable.")] = None,
    layer: Annotated[list[str] | None, typer.Option("--layer", help="Only this layer, or 3-7; repeatable.")] = None,
    dtype: Annotated[list[str] | None, typer.Option("--dtype", help="Only this dtype; repeatable.")] = None,
    sort: Annotated[
        SortBy | None, typer.Option("--sort", help="Sort by this, largest first.  [default: order of the forward pass]")
    ] = None,
    top: Annotated[
        int | None, typer.Option("--top", metavar="N", min=1, help="Show the first N tensors, by default the largest.")
    ] = None,
    expand: Annotated[
        bool, typer.Option("--expand", help="Show one row per tensor instead of folding layers and experts.")
    ] = False,
    exact: ExactOption = False,
    format: FormatOption = Format.TABLE,
    output: OutputOption = None,
    variant: VariantOption = None,
) -> None:
    """List tensors: role, shape, dtype, size, file.

    Tables fold tensors that differ only in their layer or expert number into one row; JSON and CSV list each.

    \b
    Examples:
      weightscope tensors ./Llama-3.1-8B --top 10
      weightscope tensors ./Llama-3.1-8B "*layers.0.*" --sort bytes
      weightscope tensors ./Llama-3.1-8B --role q_proj --format csv
    """
    from weightscope.analyses.filtering import Filter, what_there_is

    wanted = Filter.of(pattern, role or (), layer or (), dtype or ())
    opened = open_quietly(model, variant)
    from weightscope.output.tensors import tensors_document

    refuse_incomplete(opened)
    if dtype and not opened.checkpoint.tensors:
        raise UsageError(
            "--dtype needs weights", where=model, hint="a config or an index alone does not say what is stored"
        )
    everything = list(opened.listing())
    listed = [(group, row) for group, row in everything if wanted.fits(row)]
    document = tensors_document(
        opened.summary(),
        listed,
        total=len(opened.checkpoint.names),
        expand=expand,
        sort=sort.value if sort else None,
        top=top,
        notes=() if listed else what_there_is(wanted, [row for _, row in everything]),
        exact=exact,
    )
    emit(document, format, output, own_files(opened), paged=expand)
