"""`weightscope lock`: pin a model by a digest of each weight."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from weightscope.api.complete import refuse_incomplete
from weightscope.commands.options import (
    ModelPath,
    OutputOption,
    StreamOption,
    VariantOption,
    open_quietly,
    open_with_values,
    own_files,
)
from weightscope.errors import UsageError
from weightscope.output.write import put_parts


class LockFormat(StrEnum):
    """How to write a lock."""

    JSON = "json"
    CYCLONEDX = "cyclonedx"
    OMS = "oms"


class Digest(StrEnum):
    """What digests are made by."""

    SHA256 = "sha256"
    BLAKE3 = "blake3"


def lock(
    model: ModelPath,
    files: Annotated[bool, typer.Option("--files", help="Add the SHA-256 of each file.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Lock names, shapes, dtypes and config only.")] = False,
    digest: Annotated[
        Digest,
        typer.Option("--digest", help="How weights are digested; blake3 is faster (weightscope-cli[lock])."),
    ] = Digest.SHA256,
    format: Annotated[LockFormat, typer.Option("--format", "-f", help="Output format.")] = LockFormat.JSON,
    download: Annotated[bool, typer.Option("--download", help="Download a remote model without asking.")] = False,
    stream: StreamOption = None,
    output: OutputOption = None,
    variant: VariantOption = None,
) -> None:
    """Write a lock file: a digest of each weight by role and layer.

    It also holds what the config means. The digests stay the same if the model is sharded otherwise, converted between
    .bin and safetensors, or renamed. `weightscope check --lock FILE` names what changed.

    \b
    Examples:
      weightscope lock ./Llama-3.1-8B --output model.lock.json
      weightscope check ./Llama-3.1-8B --lock model.lock.json
      weightscope lock ./Llama-3.1-8B --format cyclonedx --output model.cdx.json
      weightscope lock ./Llama-3.1-8B --format oms --output model.statement.json
    """
    from weightscope.analyses.lock.record import lock_text
    from weightscope.output.lock import cyclonedx, oms
    from weightscope.output.progress import Progress

    files = files or format is not LockFormat.JSON
    needed = f"{'--files' if format is LockFormat.JSON else f'--format {format.value}'} needs them"
    if quick and files:
        raise UsageError(f"--quick reads no files, and {needed}")
    if quick:
        opened = open_quietly(model, variant)
    else:
        opened = open_with_values(model, variant, "lock", stream=stream, download=download)
    refuse_incomplete(opened)
    with Progress("Reading values", bytes=True) as progress:
        taken = opened.lock(algorithm=None if quick else digest.value, files=files, progress=progress)
    name, architecture = opened.checkpoint.path.resolve().name, opened.config.architecture if opened.config else ""
    parts = {
        LockFormat.JSON: lambda: lock_text(taken),
        LockFormat.CYCLONEDX: lambda: cyclonedx(taken, name, architecture),
        LockFormat.OMS: lambda: oms(taken, name),
    }[format]()
    put_parts(parts, output, own_files(opened))
