"""`weightscope stats`: are the values sane?"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from threading import Event
from typing import Annotated

import typer
from msgspec.structs import replace

from weightscope.api.complete import refuse_incomplete
from weightscope.commands.check import FailOn
from weightscope.commands.options import (
    FormatOption,
    JsonOption,
    ModelPath,
    OutputOption,
    QuietOption,
    StreamOption,
    VariantOption,
    chosen,
    halting,
    open_with_values,
    own_files,
)
from weightscope.interrupt import INTERRUPTED, stopping
from weightscope.output.write import Format, emit, put

# Values of a tensor that a quick look reads.
SAMPLE = 1 << 16


class By(StrEnum):
    """What a line of the table is."""

    ROLE = "role"
    LAYER = "layer"
    TENSOR = "tensor"


def stats(
    model: ModelPath,
    by: Annotated[By, typer.Option("--by", help="Group the figures by this.")] = By.ROLE,
    stored: Annotated[
        bool, typer.Option("--stored", help="Show quantized weights as they are stored, not as they act.")
    ] = False,
    sample: Annotated[
        bool, typer.Option("--sample", help=f"Read at most {SAMPLE:,} values of each tensor: quick, not complete.")
    ] = False,
    spectrum: Annotated[
        bool, typer.Option("--spectrum", help="Show the effective rank and the largest singular value of matrices.")
    ] = False,
    baseline: Annotated[
        Path | None,
        typer.Option("--baseline", metavar="FILE", help="Show what changed since an earlier stats --json."),
    ] = None,
    fail_on: Annotated[
        FailOn, typer.Option("--fail-on", help="Fail on findings of this severity or higher.")
    ] = FailOn.ERROR,
    download: Annotated[bool, typer.Option("--download", help="Download a remote model without asking.")] = False,
    stream: StreamOption = None,
    quiet: QuietOption = False,
    format: FormatOption = Format.TABLE,
    json: JsonOption = False,
    output: OutputOption = None,
    variant: VariantOption = None,
) -> None:
    """Read every value: range, mean, zeros, NaN, and what stands out.

    Ctrl-C shows what is known so far. Quantized weights need torch: weightscope-cli[forward]. The exit code is 1 if a
    finding is at or above --fail-on.

    \b
    Examples:
      weightscope stats ./Llama-3.1-8B
      weightscope stats ./Llama-3.1-8B --by layer --sample
      weightscope stats ./Llama-3.1-8B --spectrum --by tensor
      weightscope stats org/model --stream 20GB
      weightscope stats ./Llama-3.1-8B --json --output kept.json
      weightscope stats ./Llama-3.1-8B-tuned --baseline kept.json
    """
    written = chosen(format, json=json, quiet=quiet)
    from weightscope.analyses.stats.baseline import compare_with, read_baseline
    from weightscope.findings import passes
    from weightscope.output.progress import Progress
    from weightscope.output.stats import stats_document

    kept = read_baseline(baseline) if baseline else None
    values = SAMPLE if sample else None
    opened = open_with_values(model, variant, "stats", stream=stream, download=download, sample=values)
    refuse_incomplete(opened)
    stop = Event()
    with Progress("Reading values", bytes=True) as progress, stopping(halting(stop, opened)):
        found = opened.stats(stored=stored, sample=values, spectrum=spectrum, progress=progress, stop=stop)
    found = replace(
        found,
        ok=found.complete and passes(found.findings, fail_on.value),
        baseline=compare_with(found, kept, baseline) if kept and baseline else None,
    )
    if quiet:
        put("ok\n" if found.ok else "failed\n", output, own_files(opened))
    else:
        emit(stats_document(found, by.value), written, output, own_files(opened))
    if not found.complete:
        raise typer.Exit(INTERRUPTED)
    if not found.ok:
        raise typer.Exit(1)
