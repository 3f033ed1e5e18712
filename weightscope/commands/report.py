"""`weightscope report`: one page to open, with all that the other commands say."""

from __future__ import annotations

import sys
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer
from msgspec.structs import replace

from weightscope.api.complete import refuse_incomplete
from weightscope.commands import completing
from weightscope.commands.options import (
    BaseOption,
    ModelPath,
    StreamOption,
    VariantOption,
    fetch_if_wanted,
    halting,
    open_quietly,
    open_with_values,
    own_files,
)
from weightscope.errors import UsageError, WeightscopeError
from weightscope.interrupt import INTERRUPTED, stopping
from weightscope.output.write import put

if TYPE_CHECKING:
    from weightscope.analyses.forward.outcome import Outcome
    from weightscope.api.model import Model


class Asked(NamedTuple):
    """What is asked beside the headers: values, a matrix to draw, and a pass on tokens or a text."""

    values: bool
    heatmap: str | None
    passes: bool
    tokens: str | None
    prompt: str | None

    @property
    def needs_files(self) -> bool:
        """Whether the weights have to be here: they are not read once, in order."""
        return self.passes or self.heatmap is not None


def report(
    model: ModelPath,
    other: Annotated[
        str | None,
        typer.Argument(
            metavar="[OTHER]",
            show_default=False,
            help="A model to compare MODEL with.",
            autocompletion=completing.models,
        ),
    ] = None,
    values: Annotated[bool, typer.Option("--values", help="Read every value, too.")] = False,
    heatmap: Annotated[
        str | None,
        typer.Option(
            "--heatmap",
            metavar="TENSOR",
            help="Draw this matrix.  [default with --values: the largest]",
            autocompletion=completing.tensors,
        ),
    ] = None,
    forward: Annotated[bool, typer.Option("--forward", help="Run a forward pass, too.")] = False,
    tokens: Annotated[
        str | None, typer.Option("--tokens", metavar="1,2,3", help="Token ids for --forward.", show_default=False)
    ] = None,
    prompt: Annotated[str | None, typer.Option("--prompt", metavar="TEXT", help="Text for --forward.")] = None,
    download: Annotated[bool, typer.Option("--download", help="Download a remote model without asking.")] = False,
    stream: StreamOption = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write the page to FILE.  [default: standard output]"),
    ] = None,
    variant: VariantOption = None,
    base: BaseOption = None,
) -> None:
    """Write an HTML page about a model, or about how two differ.

    The page is one file that loads nothing from elsewhere. A config.json alone is enough. The exit code is 0 when the
    page is written, whatever the verdict.

    \b
    Examples:
      weightscope report ./Llama-3.1-8B -o llama.html
      weightscope report ./Llama-3.1-8B --values --forward --prompt "The capital of France is" -o llama.html
      weightscope report ./Llama-3.1-8B ./Llama-3.1-8B-Instruct --values -o difference.html
      weightscope report config.json > model.html
    """
    if output is None and sys.stdout.isatty():
        raise UsageError("a page is not for a terminal", hint="-o FILE writes it to a file")
    if other is not None:
        alone = {"--heatmap": heatmap, "--variant": variant, "--base": base}
        if unfit := [name for name, value in alone.items() if value is not None]:
            raise UsageError(f"{' and '.join(unfit)} cannot be used with two models")
    passes = forward or tokens is not None or prompt is not None
    if tokens is not None and prompt is not None:
        raise UsageError("--tokens and --prompt are mutually exclusive")
    asked = Asked(values=values, heatmap=heatmap, passes=passes, tokens=tokens, prompt=prompt)
    references = [reference for reference in (model, other) if reference is not None]
    if stream is not None:
        _refuse_to_stream(asked, download=download)

    def opened(reference: str) -> Model:
        if asked.needs_files:
            what = "a forward pass" if asked.passes else "reading values"
            fetch_if_wanted(reference, variant, unasked=download, what=what)
        elif asked.values:
            return open_with_values(
                reference, variant, "report", stream=stream, download=download, readings=len(references), base=base,
                tolerant=other is None,
            )  # fmt: skip
        return open_quietly(reference, variant, base, tolerant=other is None)

    models = [opened(reference) for reference in references]
    if other is None:
        _one(models[0], asked, output)
    else:
        _two(models[0], models[1], asked, output)


def _refuse_to_stream(asked: Asked, *, download: bool) -> None:
    """Refuse what --stream does not go with: it reads all values, once.

    Raises:
        UsageError: something else is asked for, or no values.
    """
    if download:
        raise UsageError("--stream and --download are mutually exclusive")
    if asked.needs_files:
        what = "--heatmap" if asked.heatmap is not None else "--forward"
        raise UsageError(f"{what} needs the weights here", hint="use --download instead of --stream")
    if not asked.values:
        raise UsageError("--stream requires --values")


def _one(model: Model, asked: Asked, output: Path | None) -> None:
    from weightscope.api.reporting import attempted, contents_of, drawn_matrix
    from weightscope.output.progress import Progress
    from weightscope.output.report.model_page import model_page

    drawn = drawn_matrix(model, asked.heatmap) if asked.heatmap is not None else None
    stop = Event()
    with Progress("Reading values", bytes=True) as progress, stopping(halting(stop, model)):
        contents = contents_of(model, values=asked.values, progress=progress, stop=stop)
    if drawn is None and asked.values:
        drawn = drawn_matrix(model)
    if asked.passes and contents.complete:
        contents = replace(contents, outcome=attempted(lambda: _passed(model, asked)))
    put(model_page(replace(contents, drawn=drawn)), output, own_files(model))
    refuse_incomplete(model)
    if not contents.complete:
        raise typer.Exit(INTERRUPTED)
    for part in (contents.stats, contents.outcome):
        if isinstance(part, WeightscopeError):
            raise part


def _passed(model: Model, asked: Asked) -> Outcome:
    from weightscope.analyses.forward.memory import bound_heaps
    from weightscope.api.asking import Wanted
    from weightscope.api.forwarding import try_forward
    from weightscope.output.progress import Progress

    bound_heaps()
    with Progress("Computing") as progress:
        return try_forward(model, Wanted(tokens=asked.tokens, text=asked.prompt), progress)[0]


def _two(left: Model, right: Model, asked: Asked, output: Path | None) -> None:
    from weightscope.analyses.diff.taking import with_logits
    from weightscope.api.comparing import compare_forward, diff
    from weightscope.api.reporting import NotCompared, attempted, treemap_of_difference
    from weightscope.output.progress import Progress
    from weightscope.output.report.diff_page import diff_page

    stop = Event()
    with Progress("Comparing values", bytes=True) as progress, stopping(halting(stop, left, right)):
        values = attempted(lambda: diff(left, right, values=asked.values, progress=progress, stop=stop))
    failed = NotCompared(values=values if isinstance(values, WeightscopeError) else None)
    found = diff(left, right) if isinstance(values, WeightscopeError) else values
    if asked.passes and found.complete:
        with Progress("Computing") as progress:
            logits = attempted(
                lambda: compare_forward(left, right, tokens=asked.tokens, text=asked.prompt, progress=progress)
            )
        if isinstance(logits, WeightscopeError):
            failed = replace(failed, logits=logits)
        else:
            found = with_logits(found, logits)
    put(diff_page(found, treemap_of_difference(right, found), failed), output, [*own_files(left), *own_files(right)])
    if not found.complete:
        raise typer.Exit(INTERRUPTED)
    if failed.first:
        raise failed.first
