"""Where a finding is, for formats that point into files: the one it names or its config keys stand in, and the line."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from weightscope.analyses.checking import CheckResult
from weightscope.findings import Finding

INDEX = "*.index.json"
# Who names no file is about tensors, and those are named in the index or else in the weights.
FALLBACKS = (INDEX, "*.safetensors", "*.bin", "*.pt", "*.pth", "config.json")
# Configs have a few kB, and hostile messages any length.
CONFIG_LIMIT = 1 << 20
MESSAGE_LIMIT = 4096


@dataclass(frozen=True, kw_only=True)
class Place:
    """A file, relative to the root of a report if it lies below that, and the line of a config key that is sure."""

    path: Path
    line: int | None = None


def where(result: CheckResult, place: Place | None) -> str:
    """The path of the file; without one, what the MODEL was called by."""
    return place.path.as_posix() if place else result.reference


def subject(result: CheckResult, place: Place | None) -> str:
    """What a message begins with to say which MODEL it is about: nothing where its place says so."""
    return "" if place else f"{result.reference}: "


def all_located(
    results: Sequence[CheckResult], variable: str | None = None
) -> Iterator[tuple[CheckResult, Finding, Place | None]]:
    """Each finding of each MODEL with its place.

    Files are relative to the root of the repository, if a CI system names it in this variable of its jobs.
    """
    value = os.environ.get(variable) if variable else None
    root = Path(value) if value else None
    for result in results:
        for finding, place in located(result, root):
            yield result, finding, place


def located(result: CheckResult, root: Path | None = None) -> list[tuple[Finding, Place | None]]:
    """Each finding with its place; None where there are no files here, as for a model on the Hub.

    Files are relative to `root` if they lie below it, or else to the working directory.
    """
    reference = Path(result.reference)
    if "://" in result.reference or not reference.exists():
        return [(finding, None) for finding in result.findings]
    directory = reference if reference.is_dir() else reference.parent
    names = sorted(path.name for path in directory.iterdir() if "." in path.name)
    files = [_file(reference, directory, names, finding) for finding in result.findings]
    return [
        (finding, Place(path=_shown(file, root), line=_line(file, finding.config)))
        for finding, file in zip(result.findings, files, strict=True)
    ]


def _file(reference: Path, directory: Path, names: Sequence[str], finding: Finding) -> Path:
    if named := _named(finding.message[:MESSAGE_LIMIT].replace(f"{directory}{os.sep}", ""), names):
        return directory / named
    if finding.config and fnmatchcase(reference.name, "*.json") and not fnmatchcase(reference.name, INDEX):
        return reference
    if finding.config and "config.json" in names:
        return directory / "config.json"
    if reference != directory:
        return reference
    fallbacks = (name for pattern in FALLBACKS for name in names if fnmatchcase(name, pattern))
    return directory / next(fallbacks, "")


def _named(message: str, names: Sequence[str]) -> str | None:
    """The file that the message mentions first; `config.json` is not mentioned in `generation_config.json`."""
    mentions = [
        (match.start(), -len(name), name)
        for name in names
        if name in message and (match := re.search(rf"(?<![\w./\\-]){re.escape(name)}(?![\w-]|\.\w)", message))
    ]
    return min(mentions)[2] if mentions else None


def _line(file: Path, keys: Sequence[str]) -> int | None:
    """The only line with the first of the keys that has one: a key that nested configs repeat points nowhere."""
    if not keys or file.suffix != ".json" or fnmatchcase(file.name, INDEX) or not file.is_file():
        return None
    with file.open(encoding="utf-8", errors="replace") as text:
        lines = text.read(CONFIG_LIMIT).split("\n")
    for key in keys:
        pattern = re.compile(rf'"{re.escape(key.rpartition(".")[2])}"\s*:')
        found = [number for number, line in enumerate(lines, 1) if pattern.search(line)]
        if len(found) == 1:
            return found[0]
    return None


def _shown(file: Path, root: Path | None) -> Path:
    try:
        here = Path.cwd()
    except OSError:  # the working directory was deleted
        return file
    absolute = Path(os.path.abspath(file))  # noqa: PTH100 - resolve() would follow links, and caches are full of them
    # A CI system may name its root by a link.
    for above in (*((root, root.resolve()) if root else ()), here):
        if absolute.is_relative_to(above):
            return absolute.relative_to(above)
    return absolute
