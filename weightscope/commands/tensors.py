"""`weightscope tensors`: which tensors are there?"""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from weightscope.api.complete import refuse_incomplete
from weightscope.commands import completing
from weightscope.commands.options import (
    BaseOption,
    ExactOption,
    FormatOption,
    JsonOption,
    OutputOption,
    VariantOption,
    chosen,
)
from weightscope.errors import UsageError
from weightscope.output.write import Format

if TYPE_CHECKING:
    from weightscope.api.model import Model
    from weightscope.output.document import Document


# What only a pattern has.
SELECTS = re.compile(r"[*?\[{]")


class SortBy(StrEnum):
    """What to sort tensors by."""

    NAME = "name"
    PARAMETERS = "parameters"
    BYTES = "bytes"
    LAYER = "layer"


RoleOption = Annotated[
    list[str] | None,
    typer.Option(
        "--role", metavar="ROLE", help="Show only this role; may be repeated.", autocompletion=completing.roles
    ),
]
LayerOption = Annotated[
    list[str] | None,
    typer.Option("--layer", metavar="LAYER", help="Show only this layer, or a range such as 3-7; may be repeated."),
]
DtypeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--dtype", metavar="DTYPE", help="Show only this dtype; may be repeated.", autocompletion=completing.dtypes
    ),
]
SortOption = Annotated[
    SortBy | None,
    typer.Option("--sort", help="Sort by this; sizes from large to small.  [default: order of the forward pass]"),
]


def tensors(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL... [PATTERN]",
            show_default=False,
            help="Models (directory, weight file, org/name, …), then a pattern of names: * and ? as in file names, "
            "{} or {0-3} for numbers.",
            autocompletion=completing.models_and_tensors,
        ),
    ],
    role: RoleOption = None,
    layer: LayerOption = None,
    dtype: DtypeOption = None,
    sort: SortOption = None,
    top: Annotated[
        int | None,
        typer.Option("--top", metavar="N", min=1, help="Show only the first N tensors; without --sort, the largest."),
    ] = None,
    expand: Annotated[
        bool, typer.Option("--expand", help="Show one row per tensor instead of folding layers and experts.")
    ] = False,
    exact: ExactOption = False,
    format: FormatOption = Format.TABLE,
    json: JsonOption = False,
    output: OutputOption = None,
    variant: VariantOption = None,
    base: BaseOption = None,
) -> None:
    """List tensors: role, shape, dtype, size, file.

    Tables fold tensors that differ only in their layer or expert number into one row. JSON and CSV list every tensor.

    \b
    Examples:
      weightscope tensors ./Llama-3.1-8B --top 10
      weightscope tensors ./Llama-3.1-8B "*layers.0.*" --sort bytes
      weightscope tensors ./Llama-3.1-8B --role q_proj --format csv
    """
    from weightscope.analyses.filtering import Filter, what_there_is

    written = chosen(format, json=json)
    models, pattern = models_and_pattern(models)
    wanted = Filter.of(pattern, role or (), layer or (), dtype or ())
    from weightscope.commands.several import ask_each
    from weightscope.output.several import emit_all

    def answer(model: Model) -> Document:
        from weightscope.output.tensors import streamed_document, tensors_document

        _refuse_what_nothing_tells(model, by_dtype=bool(dtype))
        if written is Format.JSON and not (sort or top):
            return streamed_document(model.summary(), (row for _, row in model.listing() if wanted.fits(row)))
        everything = list(model.listing())
        listed = [(group, row) for group, row in everything if wanted.fits(row)]
        return tensors_document(
            model.summary(),
            listed,
            total=len(model.checkpoint.names),
            expand=expand,
            sort=sort.value if sort else None,
            top=top,
            notes=() if listed else what_there_is(wanted, [row for _, row in everything]),
            exact=exact,
        )

    answers = ask_each(models, variant, answer, base=base)
    if answers.documents:
        emit_all(answers.documents, written, output, answers.protected, paged=expand)
    answers.raise_failures()


def models_and_pattern(arguments: list[str]) -> tuple[list[str], str | None]:
    """The MODELs, and the PATTERN if the last argument is one: what is no path, no address and no org/name."""
    *models, last = arguments
    if not models or Path(last).exists() or (re.search(r"[/:\\]", last) and not SELECTS.search(last)):
        return arguments, None
    return models, last


def _refuse_what_nothing_tells(model: Model, *, by_dtype: bool) -> None:
    refuse_incomplete(model)
    if by_dtype and not model.checkpoint.tensors:
        raise UsageError(
            "--dtype needs weights", where=model.reference, hint="a config or an index alone has no stored dtypes"
        )
