"""The options that commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from weightscope.errors import CheckpointError
from weightscope.output.write import Format

if TYPE_CHECKING:
    from weightscope.model import Model

ModelPath = Annotated[
    str,
    typer.Argument(
        show_default=False,
        help="A checkpoint directory, a .safetensors, .bin, .pt or .pth file, an *.index.json, a config.json; "
        "or elsewhere: org/name[@REVISION], hf://org/name/FILE, a URL.",
    ),
]
FormatOption = Annotated[Format, typer.Option("--format", "-f", help="How to write the result.")]
OutputOption = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write the result to FILE instead.")
]
VariantOption = Annotated[
    str | None, typer.Option("--variant", metavar="NAME", help="Read model.NAME.safetensors, as diffusers names it.")
]


def open_quietly(path: str, variant: str | None) -> Model:
    """The model, with a progress bar if reading takes over a second."""
    from weightscope.opening import open_model
    from weightscope.output.progress import Progress

    with Progress("Reading headers") as progress:
        return open_model(path, variant=variant, progress=progress)


def refuse_incomplete(model: Model) -> None:
    """Raise if shards are missing: counts of a part would pass for counts of the whole.

    Raises:
        CheckpointError: `missing-shard`.
    """
    for finding in model.checkpoint.findings:
        if finding.code == "missing-shard":
            raise CheckpointError(finding.message, where=model.reference, hint=finding.hint, code=finding.code)


def own_files(model: Model) -> list[Path]:
    """The files of the model, which no output may overwrite."""
    location = model.checkpoint.location
    others = [location.config, location.index.path if location.index else None]
    return [*location.weights, *(path for path in others if path)]
