"""What one process costs, and how a figure is written."""

from __future__ import annotations

import os
import platform
import sys
import time
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
    silent = [(os.POSIX_SPAWN_OPEN, descriptor, os.devnull, os.O_WRONLY, 0) for descriptor in (1, 2)]
    start = time.perf_counter()
    pid = os.posix_spawn(command[0], command, environment() | dict(more or {}), file_actions=silent)
    # Looked at and left, so that its counters can still be read.
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    seconds = time.perf_counter() - start
    read = bytes_read(pid)
    _, status, usage = os.wait4(pid, 0)
    if (code := os.waitstatus_to_exitcode(status)) not in accepted:
        raise SystemExit(f"exit code {code}: {' '.join(command)}")
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return Run(seconds, usage.ru_utime + usage.ru_stime, peak, read)


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


def bytes_read(pid: int) -> int | None:
    """All bytes that a process was given by read calls, from memory or disk."""
    counters = Path(f"/proc/{pid}/io")
    try:
        return int(dict(line.split(": ") for line in counters.read_text().splitlines())["rchar"])
    except OSError:
        return None


def header_bytes(directory: Path) -> int:
    """The bytes of a checkpoint that are not tensor data, config.json aside."""
    index = (directory / "model.safetensors.index.json").stat().st_size
    return index + sum(8 + header_length(path) for path in directory.glob("*.safetensors"))


def header_length(path: Path) -> int:
    with path.open("rb") as file:
        return int.from_bytes(file.read(8), "little")
