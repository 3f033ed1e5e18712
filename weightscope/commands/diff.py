"""`weightscope diff`: what changed between two models?"""

from __future__ import annotations

from pathlib import Path
from threading import Event
from typing import Annotated

import typer
from msgspec.structs import replace

from weightscope.commands import completing
from weightscope.commands.check import FailOn
from weightscope.commands.options import (
    MODEL_HELP,
    FormatOption,
    JsonOption,
    OutputOption,
    QuietOption,
    StreamOption,
    chosen,
    halting,
    open_quietly,
    open_with_values,
    own_files,
)
from weightscope.errors import UsageError
from weightscope.interrupt import INTERRUPTED, stopping
from weightscope.output.write import Format, put


def diff(
    a: Annotated[
        str, typer.Argument(metavar="A", show_default=False, help=MODEL_HELP, autocompletion=completing.models)
    ],
    b: Annotated[
        str,
        typer.Argument(
            metavar="B", show_default=False, help="The model to compare with A.", autocompletion=completing.models
        ),
    ],
    values: Annotated[bool, typer.Option("--values", help="Compare the numbers too.")] = False,
    forward: Annotated[bool, typer.Option("--forward", help="Compare the logits of a forward pass, too.")] = False,
    tokens: Annotated[
        str | None, typer.Option("--tokens", metavar="1,2,3", help="Token ids for --forward.", show_default=False)
    ] = None,
    prompt: Annotated[
        str | None, typer.Option("--prompt", metavar="TEXT", help="Text for --forward, encoded by A's tokenizer.")
    ] = None,
    adapter: Annotated[
        list[Path] | None,
        typer.Option("--adapter", metavar="DIR", help="Apply this adapter to A first; may be repeated."),
    ] = None,
    fail_on: Annotated[
        FailOn, typer.Option("--fail-on", help="Fail on differences of this severity or higher.")
    ] = FailOn.ERROR,
    download: Annotated[bool, typer.Option("--download", help="Download remote models without asking.")] = False,
    stream: StreamOption = None,
    quiet: QuietOption = False,
    format: FormatOption = Format.TABLE,
    json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """Compare two models by role: weights, shapes, dtypes, config.

    Values and logits are compared on request. Names, shards and containers may differ. The exit code is 1 if the models
    differ in more than their form.

    \b
    Examples:
      weightscope diff ./Llama-3.1-8B ./Llama-3.1-8B-Instruct --values
      weightscope diff ./model ./model-4bit --forward --prompt "The capital of France is"
      weightscope diff ./Llama-3.1-8B ./Llama-3.1-8B-merged --adapter ./my-lora --values
      weightscope diff a/config.json b/config.json
    """
    written = chosen(format, json=json, quiet=quiet)
    from weightscope.analyses.diff.taking import with_logits
    from weightscope.api.comparing import compare_forward, diff
    from weightscope.findings import passes
    from weightscope.output.diff import emit_diff
    from weightscope.output.progress import Progress

    asked = forward or tokens is not None or prompt is not None
    if stream is not None and asked:
        raise UsageError("--forward needs the weights here", hint="use --download instead of --stream")
    if values or asked:
        left, right = (open_with_values(m, None, "diff", stream=stream, download=download, readings=2) for m in (a, b))
    else:
        left, right = (open_quietly(model, None) for model in (a, b))
    stop = Event()
    with Progress("Comparing values", bytes=True) as progress, stopping(halting(stop, left, right)):
        found = diff(left, right, values=values, adapter=adapter or (), progress=progress, stop=stop)
    if asked and found.complete:
        with Progress("Computing") as progress:
            logits = compare_forward(left, right, tokens=tokens, text=prompt, adapter=adapter or (), progress=progress)
        found = with_logits(found, logits)
    found = replace(found, ok=found.complete and passes(found.findings, fail_on.value))
    protected = [*own_files(left), *own_files(right)]
    if quiet:
        put(f"{found.verdict.text}\n", output, protected)
    else:
        emit_diff(found, written, output, protected)
    if not found.complete:
        raise typer.Exit(INTERRUPTED)
    if not found.ok:
        raise typer.Exit(1)
