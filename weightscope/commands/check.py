"""`weightscope check`: do the weights fit the config? For CI."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated

import typer

from weightscope.commands.options import OutputOption, VariantOption, working_directory
from weightscope.errors import UsageError, WeightscopeError, one_line


class CheckFormat(StrEnum):
    """How to write a verdict."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"
    CSV = "csv"
    GITHUB = "github"
    SARIF = "sarif"
    JUNIT = "junit"


class FailOn(StrEnum):
    """The least severity that fails a check."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


def check(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL...",
            help="Checkpoint directories, weight files, index files, configs, or org/name on the Hub.",
            show_default=False,
        ),
    ] = None,
    fail_on: Annotated[
        FailOn | None, typer.Option("--fail-on", help="The least severity that fails.  [default: error]")
    ] = None,
    ignore: Annotated[
        list[str] | None,
        typer.Option(
            "--ignore", metavar="CODE[:PATTERN]", help="Leave a code out, everywhere or for tensors that match."
        ),
    ] = None,
    values: Annotated[
        bool | None, typer.Option("--values/--no-values", help="Read the data too: NaN, zeros, tied heads.")
    ] = None,
    cache: Annotated[
        bool, typer.Option("--cache", help="Check every model of the local Hugging Face cache as well.")
    ] = False,
    explain: Annotated[
        str | None, typer.Option("--explain", metavar="CODE", help="Say what a code means and what to do.")
    ] = None,
    format: Annotated[CheckFormat, typer.Option("--format", "-f", help="How to write the result.")] = CheckFormat.TABLE,
    output: OutputOption = None,
    variant: VariantOption = None,
) -> None:
    """Whether the weights fit the config, for CI.

    Exits with 1 where something is found at or above --fail-on. Settings for a whole project go into
    [tool.weightscope] of pyproject.toml, or weightscope.toml: fail-on, ignore, values.

    \b
    Examples:
      weightscope check ./Llama-3.1-8B
      weightscope check models/* --fail-on warning --ignore dtype-mismatch --format github
      weightscope check --cache
      weightscope check --explain tie-mismatch
    """
    if explain is not None:
        from weightscope.output.explain import explanation

        sys.stdout.write(explanation(explain))
        return
    named = [(model, "") for model in models or ()] + (_cached() if cache else [])
    if not named:
        raise UsageError(
            "no MODEL to check" + (" in the local Hugging Face cache" if cache else ""),
            hint="name a checkpoint directory, or see weightscope check --help",
        )
    from weightscope.analyses.checking import Policy
    from weightscope.api.checking import check_model
    from weightscope.output.check import emit_check
    from weightscope.output.progress import Progress
    from weightscope.settings import find_settings

    settings = find_settings(working_directory(), note=_note)
    policy = Policy.of(fail_on or settings.fail_on, [*settings.ignore, *(ignore or ())])
    results, failures = [], []
    for model, reference in named:
        with Progress("Checking") as progress:
            try:
                read = settings.values if values is None else values
                verdict = check_model(
                    model, policy, variant=variant, values=read, progress=progress, reference=reference
                )
                results.append(verdict)
            except WeightscopeError as error:
                failures.append(error)
    if results:
        emit_check(results, format.value, output)
    # What could not be checked at all is said last, and weighs more than any finding.
    for failure in failures[:-1]:
        _note(str(failure))
    if failures:
        raise failures[-1]
    if not all(result.ok for result in results):
        raise typer.Exit(1)


def _note(text: str) -> None:
    """A line on standard error, where the result never is."""
    typer.echo(f"weightscope: {one_line(text)}", err=True)


def _cached() -> list[tuple[str, str]]:
    """Path and name of each model in the cache; what has no weights there is said and left out."""
    from weightscope.api.cache import checkable

    found, bare = checkable()
    for reference in bare:
        _note(f"{reference}: no weights in the local cache, not checked")
    return [(str(snapshot.path), snapshot.reference) for snapshot in found]
