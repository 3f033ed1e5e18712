"""`weightscope explain`: what does this tensor do?"""

from __future__ import annotations

from typing import Annotated

import typer

from weightscope.api.complete import refuse_incomplete
from weightscope.commands import completing
from weightscope.commands.options import (
    BaseOption,
    FormatOption,
    JsonOption,
    ModelPath,
    OutputOption,
    VariantOption,
    chosen,
    open_quietly,
    own_files,
)
from weightscope.output.write import Format, emit


def explain(
    model: ModelPath,
    tensor: Annotated[
        str,
        typer.Argument(
            metavar="TENSOR",
            show_default=False,
            help="A tensor name or the end of one, a role, or a pattern.",
            autocompletion=completing.tensors_and_roles,
        ),
    ],
    format: FormatOption = Format.TABLE,
    json: JsonOption = False,
    output: OutputOption = None,
    variant: VariantOption = None,
    base: BaseOption = None,
) -> None:
    """Explain a tensor: role, equation, shape, neighbours.

    The prefix (model.) and .weight may be left out. If several tensors match, the first is explained. A config.json
    alone is enough.

    \b
    Examples:
      weightscope explain ./Llama-3.1-8B model.layers.0.self_attn.k_proj.weight
      weightscope explain ./Llama-3.1-8B q_proj
      weightscope explain config.json "model.layers.{}.mlp.up_proj.weight"
    """
    written = chosen(format, json=json)
    from weightscope.output.explanation import explanation_document

    opened = open_quietly(model, variant, base)
    refuse_incomplete(opened)
    document = explanation_document(opened.summary(), opened.explain(tensor))
    emit(document, written, output, own_files(opened))
