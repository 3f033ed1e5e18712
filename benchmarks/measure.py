"""What one process costs, and how a figure is written."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
# What the console script does, less looking for itself.
WEIGHTSCOPE = (sys.executable, "-c", "from weightscope.cli import run; run()")


class Run(NamedTuple):
    """What one process cost; `read` is what its read calls returned, None where the system does not tell.

    `seconds` are those of the clock, `cpu` those of the processor, for the process and for the system on its behalf:
    where others run as well, they tell more.
    """

    seconds: float
    cpu: float
    peak_bytes: int
    read: int | None


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One line of the result; `limit` is what is asked, None where nothing is."""

    group: str
    name: str
    value: float
    unit: str
    limit: float | None = None

    @property
    def line(self) -> str:
        """Name, value, and what is asked."""
        asked = ""
        if self.limit is not None:
            asked = f"asked: at most {self.limit:g}   {'ok' if self.value <= self.limit else 'OVER'}"
        digits = {"s": 3, "×": 2}.get(self.unit, 0)
        return f"  {self.name:<46}{self.value:>12,.{digits}f} {self.unit:<6}{asked}".rstrip()


def environment() -> dict[str, str]:
    """This one's, with weightscope importable, bytecode cached, and nothing that changes the output."""
    dropped = ("PYTHONDONTWRITEBYTECODE", "PYTHONPROFILEIMPORTTIME", "COLUMNS", "FORCE_COLOR")
    kept = {key: value for key, value in os.environ.items() if key not in dropped}
    paths = (str(HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")]))
    return kept | {"PYTHONPATH": os.pathsep.join(paths)}


def run(command: tuple[str, ...], more: Mapping[str, str] | None = None, accepted: tuple[int, ...] = (0,)) -> Run:
    """Run a command to its end, output thrown away; `more` is added to the environment.

    Another exit code than those `accepted` ends the whole.
    """
    timed = (sys.executable, "-S", str(HERE / "timed.py"), *command)
    told = subprocess.run(timed, env=environment() | dict(more or {}), stdout=subprocess.PIPE, check=True)
    cost = json.loads(told.stdout)
    if (code := cost.pop("code")) not in accepted:
        raise SystemExit(f"exit code {code}: {' '.join(command)}")
    return Run(**cost)


def interleaved(commands: Mapping[str, tuple[str, ...]], rounds: int) -> dict[str, list[Run]]:
    """Each command once a round, after one round that warms the caches."""
    for command in commands.values():
        run(command)
    runs: dict[str, list[Run]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            runs[name].append(run(command))
    return runs


def system() -> str:
    """Which machine, in words."""
    return f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores"


def show(figures: Iterable[Figure], rounds: int) -> None:
    """Print the figures by their groups."""
    print(f"{system()}; medians of {rounds} interleaved runs or more")
    group = ""
    for figure in figures:
        if figure.group != group:
            group = figure.group
            print(f"\n{group}")
        print(figure.line)


def header_bytes(directory: Path) -> int:
    """The bytes of a checkpoint that are not tensor data, config.json aside."""
    index = (directory / "model.safetensors.index.json").stat().st_size
    return index + sum(8 + header_length(path) for path in directory.glob("*.safetensors"))


def header_length(path: Path) -> int:
    with path.open("rb") as file:
        return int.from_bytes(file.read(8), "little")
