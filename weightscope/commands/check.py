"""`weightscope check`: do the weights fit the config? For CI."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from weightscope.commands import completing
from weightscope.commands.options import (
    BaseOption,
    JsonOption,
    OutputOption,
    QuietOption,
    StreamOption,
    VariantOption,
    bytes_of,
    chosen,
    refusal,
    working_directory,
)
from weightscope.commands.several import note
from weightscope.errors import UsageError, WeightscopeError

if TYPE_CHECKING:
    from weightscope.analyses.checking import CheckResult
    from weightscope.analyses.lock.record import Lock


class CheckFormat(StrEnum):
    """How to write a verdict."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"
    CSV = "csv"
    GITHUB = "github"
    SARIF = "sarif"
    JUNIT = "junit"
    GITLAB = "gitlab"
    RDJSON = "rdjson"
    SHIELDS = "shields"


WITH_STATISTICS = (CheckFormat.TABLE, CheckFormat.JSON, CheckFormat.MARKDOWN)


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
            help="Checkpoint directories, weight files, index files, configs, or remote models: org/name, a URL.",
            show_default=False,
            autocompletion=completing.models,
        ),
    ] = None,
    fail_on: Annotated[
        FailOn | None, typer.Option("--fail-on", help="Fail on findings of this severity or higher.  [default: error]")
    ] = None,
    ignore: Annotated[
        list[str] | None,
        typer.Option(
            "--ignore",
            metavar="CODE[:PATTERN]",
            help="Ignore this code, or only for matching tensors; may be repeated.",
            autocompletion=completing.codes,
        ),
    ] = None,
    values: Annotated[
        bool | None, typer.Option("--values/--no-values", help="Read the values too: find NaN, zeros, untied heads.")
    ] = None,
    lock: Annotated[
        Path | None,
        typer.Option("--lock", metavar="FILE", help="Also compare the model with a lock of `weightscope lock`."),
    ] = None,
    cache: Annotated[
        bool, typer.Option("--cache", help="Also check every model in the local Hugging Face cache.")
    ] = False,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain", help="Explain a finding code, given in place of MODEL; without a code, list all codes."
        ),
    ] = False,
    statistics: Annotated[bool, typer.Option("--statistics", help="Also count the findings by code.")] = False,
    exit_zero: Annotated[bool, typer.Option("--exit-zero", help="Exit with 0 even if a check failed.")] = False,
    quiet: QuietOption = False,
    format: Annotated[CheckFormat, typer.Option("--format", "-f", help="Output format.")] = CheckFormat.TABLE,
    json: JsonOption = False,
    output: OutputOption = None,
    variant: VariantOption = None,
    base: BaseOption = None,
    stream: StreamOption = None,
) -> None:
    """Check weights against config.json, for CI.

    The exit code is 1 if a finding is at or above --fail-on. Project settings (fail-on, ignore, values) go into
    weightscope.toml, or into [tool.weightscope] of pyproject.toml.

    \b
    Examples:
      weightscope check ./Llama-3.1-8B
      weightscope check models/* --fail-on warning --ignore dtype-mismatch --format github
      weightscope check ./Llama-3.1-8B --lock model.lock.json
      weightscope check ./my-lora --base ./Llama-3.1-8B
      weightscope check --cache
      weightscope check --explain tie-mismatch
    """
    written = chosen(format, json=json, quiet=quiet)
    if explain:
        _explain(models or [], written, output)
        return
    named = _named(models or [], cache=cache)
    if len(named) > 1:
        _refuse_several(lock, written)
    if statistics:
        _refuse_statistics(written, quiet=quiet)
    from weightscope.analyses.checking import Policy
    from weightscope.analyses.lock.record import read_lock
    from weightscope.api.checking import check_model
    from weightscope.output.check import emit_check, verdicts
    from weightscope.output.progress import Progress
    from weightscope.output.write import put
    from weightscope.settings import find_settings

    settings = find_settings(working_directory(), note=note)
    policy = Policy.of(fail_on or settings.fail_on, [*settings.ignore, *(ignore or ())])
    locked = read_lock(lock) if lock else None
    most = bytes_of(stream)
    results, failures = [], []
    for model, reference in named:
        with Progress("Checking") as progress:
            try:
                read = settings.values if values is None else values
                _refuse_elsewhere(model, variant, most, values=read, lock=locked)
                verdict = check_model(
                    model,
                    policy,
                    variant=variant,
                    values=read,
                    lock=locked,
                    progress=progress,
                    reference=reference,
                    base=base,
                    stream=most,
                )
                results.append(verdict)
            except WeightscopeError as error:
                failures.append(error)
    if quiet:
        put(verdicts(results, named=len(named) > 1), output)
    elif results:
        emit_check(results, written.value, output, statistics=statistics)
    if written is CheckFormat.GITHUB:
        _summarize(results, failures)
    # What could not be checked at all is said last, and weighs more than any finding.
    for failure in failures[:-1]:
        note(str(failure))
    if failures:
        raise failures[-1]
    if not exit_zero and not all(result.ok for result in results):
        raise typer.Exit(1)


def _summarize(results: list[CheckResult], failures: list[WeightscopeError]) -> None:
    """Put the verdicts on the page of a job of GitHub Actions, if this is one."""
    from weightscope.output.check import check_page
    from weightscope.output.step_summary import append_step_summary

    if problem := append_step_summary(check_page(results, [str(failure) for failure in failures])):
        note(problem)


def _named(models: list[str], *, cache: bool) -> list[tuple[str, str]]:
    """Path and reference of each MODEL to check.

    Raises:
        UsageError: there is none.
    """
    named = [(model, "") for model in models] + (_cached() if cache else [])
    if not named:
        raise UsageError(
            "no MODEL to check" + (" in the local Hugging Face cache" if cache else ""),
            hint="name a checkpoint directory; see weightscope check --help",
        )
    return named


def _refuse_elsewhere(model: str, variant: str | None, most: int | None, *, values: bool, lock: Lock | None) -> None:
    """Raise where values are needed, are not here, and nobody agreed to read so many bytes.

    Raises:
        UsageError: it says what reading them takes.
    """
    from weightscope.api.downloading import values_elsewhere

    needed = values or (lock is not None and lock.algorithm is not None)
    if most is None and needed and (missing := values_elsewhere(model, variant)):
        raise refusal(missing, "check", readings=2)


def _refuse_several(lock: Path | None, format: CheckFormat) -> None:
    """Raise for what is of one MODEL.

    Raises:
        UsageError: a lock, or a badge.
    """
    if lock:
        raise UsageError("--lock is of one MODEL", hint="check each with its own lock")
    if format is CheckFormat.SHIELDS:
        raise UsageError("--format shields is of one MODEL", hint="write a badge for each")


def _refuse_statistics(format: CheckFormat, *, quiet: bool) -> None:
    """Raise where statistics have no place.

    Raises:
        UsageError: a format for programs other than JSON, or the verdict alone.
    """
    if quiet:
        raise UsageError("--quiet and --statistics are mutually exclusive")
    if format not in WITH_STATISTICS:
        raise UsageError(f"--statistics has no --format {format}", hint=f"formats are {', '.join(WITH_STATISTICS)}")


def _explain(codes: list[str], format: CheckFormat, output: Path | None) -> None:
    """What one code means, or all codes in a line each.

    Raises:
        UsageError: no such code, or a format that has no place for it.
    """
    from weightscope.output.explain import explanation
    from weightscope.output.write import Format, emit

    if format.value not in set(Format):
        raise UsageError(f"--explain has no --format {format}", hint=f"formats are {', '.join(Format)}")
    emit(explanation(codes), Format(format.value), output)


def _cached() -> list[tuple[str, str]]:
    """Path and name of each model in the cache; what has no weights there is said and left out."""
    from weightscope.api.cache import checkable

    found, bare = checkable()
    for reference in bare:
        note(f"{reference}: no weights in the local cache, not checked")
    return [(str(snapshot.path), snapshot.reference) for snapshot in found]
