"""`weightscope params`: where do the parameters live?"""

from __future__ import annotations

from enum import StrEnum
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
from weightscope.errors import UsageError
from weightscope.output.write import Format

if TYPE_CHECKING:
    from weightscope.api.model import Model
    from weightscope.output.document import Document


class By(StrEnum):
    """The axis of a breakdown."""

    COMPONENT = "component"
    ROLE = "role"
    LAYER = "layer"
    DTYPE = "dtype"
    QUANTIZATION = "quantization"
    MODULE = "module"


def params(
    models: ModelPaths,
    by: Annotated[By, typer.Option("--by", help="Group the parameters by this.")] = By.COMPONENT,
    depth: Annotated[
        int | None,
        typer.Option("--depth", metavar="N", min=1, help="With --by module: group by the first N parts of the names."),
    ] = None,
    trainable: Annotated[
        str | None,
        typer.Option(
            "--trainable",
            metavar="PLAN",
            help="Show what is trained and what is frozen: full, parts joined by + (vision, projector, language), "
            "lora:r=16,targets=q_proj,v_proj.",
        ),
    ] = None,
    exact: ExactOption = False,
    format: FormatOption = Format.TABLE,
    json: JsonOption = False,
    output: OutputOption = None,
    variant: VariantOption = None,
    base: BaseOption = None,
) -> None:
    """Count parameters by component, role, layer, dtype or module.

    A config.json alone is enough; the parameters are then computed from it.

    \b
    Examples:
      weightscope params ./Llama-3.1-8B --by layer
      weightscope params config.json --exact
      weightscope params ./llava --trainable projector+language
      weightscope params ./Llama-3.1-8B --trainable lora:r=16,targets=q_proj,v_proj
    """
    written = chosen(format, json=json)
    if depth is not None and by is not By.MODULE:
        raise UsageError("--depth requires --by module")
    if trainable is not None:
        if by is not By.COMPONENT:
            raise UsageError("--trainable and --by are mutually exclusive", hint="--trainable counts by component")
        from weightscope.analyses.training.grammar import Plan

        # What is wrong with the plan itself is said before any model is read.
        Plan.of(trainable)
    from weightscope.commands.several import ask_each
    from weightscope.output.several import emit_all

    def answer(model: Model) -> Document:
        from weightscope.output.params import params_document

        _refuse_what_nothing_tells(model, by)
        if trainable is not None:
            from weightscope.output.trainable import trainable_document

            return trainable_document(
                model.summary(), model.breakdown("component"), model.trainable(trainable), exact=exact
            )
        return params_document(model.summary(), by.value, model.breakdown(by.value, depth), exact=exact)

    answers = ask_each(models, variant, answer, base=base)
    if answers.documents:
        emit_all(answers.documents, written, output, answers.protected)
    answers.raise_failures()


def _refuse_what_nothing_tells(model: Model, by: By) -> None:
    """Raise where the files do not hold what is asked for.

    Raises:
        UsageError: no weights to tell dtypes, or no shapes to count.
        CheckpointError: shards are missing.
    """
    refuse_incomplete(model)
    if by is By.DTYPE and not model.checkpoint.tensors:
        raise UsageError(
            "--by dtype needs weights", where=model.reference, hint="a config or an index alone has no stored dtypes"
        )
    if model.checkpoint.format == "index" and model.declaration is None:
        raise UsageError(
            "an index gives names and total size, no shapes",
            where=model.reference,
            hint="put the model's config.json beside it",
        )
