"""`weightscope params`: where do the parameters live?"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from weightscope.api.complete import refuse_incomplete
from weightscope.commands.options import (
    BaseOption,
    ExactOption,
    JsonOption,
    ModelPaths,
    OutputOption,
    VariantOption,
    chosen,
    open_quietly,
    own_files,
)
from weightscope.errors import UsageError
from weightscope.output.write import Format, put

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


class ParamsFormat(StrEnum):
    """How to write counts."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"
    CSV = "csv"
    SHIELDS = "shields"


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
    format: Annotated[ParamsFormat, typer.Option("--format", "-f", help="Output format.")] = ParamsFormat.TABLE,
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
    if written is ParamsFormat.SHIELDS:
        if by is not By.COMPONENT or trainable is not None:
            raise UsageError("--format shields shows the total only", hint="leave out --by and --trainable")
        _write_badge(models, variant, base, output)
        return
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
        emit_all(answers.documents, Format(written), output, answers.protected)
    answers.raise_failures()


def _write_badge(models: list[str], variant: str | None, base: str | None, output: Path | None) -> None:
    """The number of parameters of the one MODEL as a badge.

    Raises:
        UsageError: there are several.
        WeightscopeError: the model cannot be read, or its parameters cannot be counted.
    """
    from weightscope.output.shields import params_badge

    if len(models) > 1:
        raise UsageError("--format shields is of one MODEL", hint="write a badge for each")
    model = open_quietly(models[0], variant, base)
    _refuse_what_nothing_tells(model, By.COMPONENT)
    put(params_badge(model.summary()), output, own_files(model))


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
