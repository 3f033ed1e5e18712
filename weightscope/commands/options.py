"""The options that commands share."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from weightscope.commands import completing
from weightscope.errors import UsageError, one_line
from weightscope.output.write import Format

if TYPE_CHECKING:
    from weightscope.api.downloading import Missing
    from weightscope.api.model import Model

Form = TypeVar("Form", bound=StrEnum)

MODEL_HELP = (
    "A checkpoint directory, a training run's folder, an adapter, a weight file, an *.index.json, a config.json; "
    "or a remote model: org/name[@REVISION], hf://org/name/FILE, a URL."
)
ModelPath = Annotated[
    str, typer.Argument(metavar="MODEL", show_default=False, help=MODEL_HELP, autocompletion=completing.models)
]
ModelPaths = Annotated[
    list[str],
    typer.Argument(metavar="MODEL...", show_default=False, help=MODEL_HELP, autocompletion=completing.models),
]
FormatOption = Annotated[Format, typer.Option("--format", "-f", help="Output format.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Short for --format json.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print only the verdict.")]
ExactOption = Annotated[bool, typer.Option("--exact", help="Show counts and bytes with all digits.")]
OutputOption = Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write the result to FILE.")]
BaseOption = Annotated[
    str | None,
    typer.Option(
        "--base",
        metavar="MODEL",
        help="The base model of an adapter.  [default: the one it names, if cached]",
        autocompletion=completing.models,
    ),
]
VariantOption = Annotated[
    str | None, typer.Option("--variant", metavar="NAME", help="Read the variant model.NAME.safetensors.")
]
StreamOption = Annotated[
    str | None,
    typer.Option(
        "--stream",
        metavar="SIZE",
        help="Read a remote model's values over the network, at most SIZE (such as 5GB), and store nothing.",
        show_default=False,
    ),
]
SIZE = r"(?i)([0-9]+(?:\.[0-9]+)?) ?([kMGT]?)B?"

# The model that was opened last: it ends with the process, not with the command, which would free it piece by piece.
_kept: list[Model] = []


def chosen(format: Form, *, json: bool, quiet: bool = False) -> Form:
    """The format that was asked for, by --format or by --json.

    Raises:
        UsageError: two of --format, --json and --quiet that exclude each other.
    """
    if json and format not in ("table", "json"):
        raise UsageError(f"--json and --format {format} are mutually exclusive")
    if quiet and (json or format != "table"):
        raise UsageError(f"--quiet and {'--json' if json else f'--format {format}'} are mutually exclusive")
    return type(format)("json") if json else format


def open_quietly(path: str, variant: str | None, base: str | None = None, *, tolerant: bool = False) -> Model:
    """The model, with a progress bar if reading takes over a second; `tolerant` as `open_model` has it."""
    from weightscope.api.opening import open_model
    from weightscope.output.progress import Progress

    _kept.clear()
    with Progress("Reading headers") as progress:
        model = open_model(path, variant=variant, progress=progress, base=base, tolerant=tolerant)
    _kept.append(model)
    return model


def fetch_if_wanted(path: str, variant: str | None, *, unasked: bool, what: str = "a forward pass") -> None:
    """Have all of a model in the local cache; whoever did not say --download is asked first, where there is a terminal.

    Raises:
        UsageError: it is not here, and is not to be fetched.
        WeightscopeError: there is no such model, or a file cannot be had.
    """
    from weightscope.api.downloading import what_is_missing

    missing = what_is_missing(path, variant)
    if missing is None:
        return
    cost = _cost(missing)
    if not (unasked or (_is_asked() and _agrees(f"{missing.reference} is not in the local cache. Download {cost}?"))):
        raise UsageError(f"{what} needs the weights: {cost} to download", where=missing.reference,
                         hint="--download does so without asking")  # fmt: skip
    _fetch(path, variant, missing)


def _fetch(path: str, variant: str | None, missing: Missing) -> None:
    from weightscope.api.downloading import download
    from weightscope.output.progress import Progress
    from weightscope.output.words import size

    with Progress(f"Downloading {size(missing.bytes)}") as progress:
        download(path, variant, progress)


def open_with_values(
    path: str,
    variant: str | None,
    command: str,
    *,
    stream: str | None,
    download: bool,
    sample: int | None = None,
    readings: int = 1,
    base: str | None = None,
    tolerant: bool = False,
) -> Model:
    """A model whose values, or a `sample` of them, can be read: here, or with --stream over the network.

    `readings` are how often the command may read them, `base` and `tolerant` are as `open_model` has them.

    Raises:
        UsageError: it is not here, and nobody agreed to fetch it; the message says what it takes.
        WeightscopeError: there is no such model, or it cannot be read.
    """
    if stream is not None and download:
        raise UsageError("--stream and --download are mutually exclusive")
    most = bytes_of(stream)
    if most is None:
        _refuse_or_fetch(path, variant, command, download=download, readings=readings)
    model = open_quietly(path, variant, base, tolerant=tolerant)
    if most is not None:
        model.stream(most, sample=sample)
    return model


def _refuse_or_fetch(path: str, variant: str | None, command: str, *, download: bool, readings: int) -> None:
    """Have a remote model here, with --download or if a person at the terminal agrees; else say what it takes.

    Raises:
        UsageError: it is not here, and is not to be fetched.
    """
    from weightscope.api.downloading import values_elsewhere

    if download:
        fetch_if_wanted(path, variant, unasked=True)
        return
    missing = values_elsewhere(path, variant)
    if missing is None:
        return
    what = f"{missing.reference} is not in the local cache: {_cost(missing)}"
    if not (missing.downloadable and _is_asked() and _agrees(f"{what}. Download it?")):
        raise refusal(missing, command, readings, downloads=missing.downloadable)
    _fetch(path, variant, missing)


def refusal(missing: Missing, command: str, readings: int, *, downloads: bool = False) -> UsageError:
    """That the values are not here, with what it takes to read them so many times."""
    stores = "; --download stores them" if downloads else ""
    agreed = missing.agreeable(readings)
    return UsageError(
        f"{command} needs the values, which are not here: {_cost(missing)}",
        where=missing.reference,
        hint=f"--stream {agreed} reads them over the network and stores nothing{stores}",
    )


def _cost(missing: Missing) -> str:
    from weightscope.output.words import plural, size

    return f"{size(missing.bytes)} in {plural(missing.files, 'file')}"


def bytes_of(text: str | None) -> int | None:
    """What --stream agrees to: a size such as 5GB, 500MB or 1000000, in powers of 1000; None where it was not given.

    Raises:
        UsageError: it is none.
    """
    if text is None:
        return None
    match = re.fullmatch(SIZE, text.strip())
    if match is None:
        raise UsageError(f"--stream {text!r} is no size", hint="give one such as 5GB or 500MB")
    return int(float(match[1]) * 1000 ** " KMGT".index(match[2].upper() or " "))


def halting(stop: Event, *models: Model) -> Callable[[], None]:
    """What stops the reading of values: nothing is waited for any more."""

    def halt() -> None:
        stop.set()
        for model in models:
            model.checkpoint.folder.close()

    return halt


def _is_asked() -> bool:
    """Whether a person is there to answer."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def _agrees(question: str) -> bool:
    """A yes or no on the terminal; standard output is the result's alone, where typer's own prompt writes too."""
    print(f"{one_line(question)} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def working_directory() -> Path | None:
    """The working directory; None if it was deleted."""
    try:
        return Path.cwd()
    except OSError:
        return None


def own_files(model: Model) -> list[Path]:
    """The files of the model, which no output may overwrite."""
    location = model.checkpoint.location
    others = [location.config, location.index.path if location.index else None]
    return [*location.weights, *(path for path in others if path)]
