"""`weightscope inspect`: what is this?"""

# Without `from __future__ import annotations`: typer evaluates texts of annotations twice, which can be felt.
from typing import TYPE_CHECKING, Annotated

import typer

from weightscope.api.complete import refuse_incomplete
from weightscope.commands.options import (
    BaseOption,
    ExactOption,
    FormatOption,
    JsonOption,
    ModelPaths,
    OutputOption,
    VariantOption,
    chosen,
)
from weightscope.output.write import Format

if TYPE_CHECKING:
    from weightscope.analyses.summary import Summary
    from weightscope.api.model import Model
    from weightscope.output.document import Document


def inspect(
    models: ModelPaths,
    exact: ExactOption = False,
    values: Annotated[
        bool, typer.Option("--values", help="Read the embedding and the head, and compare their values.")
    ] = False,
    format: FormatOption = Format.TABLE,
    json: JsonOption = False,
    output: OutputOption = None,
    variant: VariantOption = None,
    base: BaseOption = None,
) -> None:
    """Summarize a checkpoint: family, size, parameters, faults.

    Reads only the headers of the files, so it is fast for models of any size.

    \b
    Examples:
      weightscope inspect ./Llama-3.1-8B
      weightscope inspect models/*
      weightscope inspect ./model.safetensors --json
    """
    written = chosen(format, json=json)
    from weightscope.commands.several import ask_each
    from weightscope.output.progress import Progress
    from weightscope.output.several import emit_all

    summaries: list[Summary] = []

    def answer(model: "Model") -> "Document":
        from weightscope.output.inspect import inspect_document

        if values:
            with Progress("Comparing") as progress:
                model.compare_tied_values(progress)
        summaries.append(model.summary())
        return inspect_document(summaries[-1], model.usual_state(), exact=exact)

    # What is here is shown; that it is not all is still a failure.
    answers = ask_each(models, variant, answer, refuse_incomplete, base=base)
    last: list[Document] = []
    if len(models) > 1 and summaries:
        from weightscope.output.overview import overview_document

        last = [overview_document(summaries, exact=exact)]
    if answers.documents:
        emit_all(answers.documents, written, output, answers.protected, last=last)
    answers.raise_failures()
