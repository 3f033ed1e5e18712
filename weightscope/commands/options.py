"""The options that commands share."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from weightscope.errors import UsageError, one_line
from weightscope.output.write import Format

if TYPE_CHECKING:
    from weightscope.api.model import Model

Form = TypeVar("Form", bound=StrEnum)

MODEL_HELP = (
    "A checkpoint directory, a training run's folder, an adapter, a weight file, an *.index.json, a config.json; "
    "or a remote model: org/name[@REVISION], hf://org/name/FILE, a URL."
)
ModelPath = Annotated[str, typer.Argument(metavar="MODEL", show_default=False, help=MODEL_HELP)]
ModelPaths = Annotated[list[str], typer.Argument(metavar="MODEL...", show_default=False, help=MODEL_HELP)]
FormatOption = Annotated[Format, typer.Option("--format", "-f", help="Output format.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Short for --format json.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print only the verdict.")]
ExactOption = Annotated[bool, typer.Option("--exact", help="Show counts and bytes with all digits.")]
OutputOption = Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write the result to FILE.")]
BaseOption = Annotated[
    str | None,
    typer.Option(
        "--base", metavar="MODEL", help="The base model of an adapter.  [default: the one it names, if cached]"
    ),
]
VariantOption = Annotated[
    str | None, typer.Option("--variant", metavar="NAME", help="Read the variant model.NAME.safetensors.")
]


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
    """The model, with a progress bar if reading takes over a second; see `open_model` for `tolerant`."""
    from weightscope.api.opening import open_model
    from weightscope.output.progress import Progress

    _kept.clear()
    with Progress("Reading headers") as progress:
        model = open_model(path, variant=variant, progress=progress, tolerant=tolerant, base=base)
    _kept.append(model)
    return model


def fetch_if_wanted(path: str, variant: str | None, *, unasked: bool) -> None:
    """Have all of a model in the local cache; whoever did not say --download is asked first, where there is a terminal.

    Raises:
        UsageError: it is not here, and is not to be fetched.
        WeightscopeError: there is no such model, or a file cannot be had.
    """
    from weightscope.api.downloading import download, what_is_missing
    from weightscope.output.progress import Progress
    from weightscope.output.words import plural, size

    missing = what_is_missing(path, variant)
    if missing is None:
        return
    cost = f"{size(missing.bytes)} in {plural(missing.files, 'file')}"
    if not unasked:
        asked = sys.stdin.isatty() and sys.stderr.isatty()
        if not (asked and _agrees(f"{missing.reference} is not in the local cache. Download {cost}?")):
            raise UsageError(f"a forward pass needs the weights: {cost} to download", where=missing.reference,
                             hint="--download does so without asking")  # fmt: skip
    with Progress(f"Downloading {size(missing.bytes)}") as progress:
        download(path, variant, progress)


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
