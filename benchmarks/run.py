"""Measure whole runs of weightscope against floors and peers, on checkpoints made for it; `make bench` runs this."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
SHARDS = 163
# `weightscope.checkpoint.header.START`: a file is told by its first bytes, then opened by its reader.
SNIFFED = 300
# What the console script does, less looking for itself.
WEIGHTSCOPE = (sys.executable, "-c", "from weightscope.cli import main; main()")
MODELINFO = (sys.executable, "-c", "from modelinfo.cli import main; main()")
IMPORTS = (sys.executable, "-c", "import typer, rich.console, rich.table, msgspec")
LISTING = (sys.executable, str(HERE / "modules.py"))
FORBIDDEN = (
    "torch",
    "numpy",
    "huggingface_hub",
    "pydantic",
    "rich.console",
    "rich.table",
    "rich.progress",
    "rich.markdown",
)
TINY = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": 128,
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "torch_dtype": "bfloat16",
}


class Run(NamedTuple):
    """What one process cost; `read` is what its read calls returned, None where the system does not tell."""

    seconds: float
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


def run(command: tuple[str, ...]) -> Run:
    """Run a command to its end, output thrown away."""
    silent = [(os.POSIX_SPAWN_OPEN, descriptor, os.devnull, os.O_WRONLY, 0) for descriptor in (1, 2)]
    start = time.perf_counter()
    pid = os.posix_spawn(command[0], command, environment(), file_actions=silent)
    # Looked at and left, so that its counters can still be read.
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    seconds = time.perf_counter() - start
    read = bytes_read(pid)
    _, status, usage = os.wait4(pid, 0)
    if code := os.waitstatus_to_exitcode(status):
        raise SystemExit(f"exit code {code}: {' '.join(command)}")
    return Run(seconds, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024), read)


def bytes_read(pid: int) -> int | None:
    """All bytes that a process was given by read calls, from memory or disk."""
    counters = Path(f"/proc/{pid}/io")
    try:
        return int(dict(line.split(": ") for line in counters.read_text().splitlines())["rchar"])
    except OSError:
        return None


def interleaved(commands: Mapping[str, tuple[str, ...]], rounds: int) -> dict[str, list[Run]]:
    """Each command once a round, after one round that warms the caches."""
    for command in commands.values():
        run(command)
    runs: dict[str, list[Run]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            runs[name].append(run(command))
    return runs


def compare(group: str, commands: Mapping[str, tuple[str, ...]], limit: float, rounds: int) -> list[Figure]:
    """Median seconds of each, and of the first the ratio to the second; to others it is told without a limit."""
    runs = interleaved(commands, rounds)
    medians = {name: statistics.median(run.seconds for run in of) for name, of in runs.items()}
    first, *others = medians
    figures = [Figure(group=group, name=name, value=seconds, unit="s") for name, seconds in medians.items()]
    figures += [
        Figure(
            group=group,
            name=f"{first} / {other}",
            value=medians[first] / medians[other],
            unit="×",
            limit=limit if other == others[0] else None,
        )
        for other in others
    ]
    peak = statistics.median(run.peak_bytes for run in runs[first]) / 1e6
    return [*figures, Figure(group=group, name=f"{first}: peak memory", value=peak, unit="MB", limit=150)]


def header_bytes(directory: Path) -> int:
    """The bytes of a checkpoint that are not tensor data, config.json aside."""
    index = (directory / "model.safetensors.index.json").stat().st_size
    return index + sum(8 + header_length(path) for path in directory.glob("*.safetensors"))


def header_length(path: Path) -> int:
    with path.open("rb") as file:
        return int.from_bytes(file.read(8), "little")


def reading(group: str, directory: Path) -> list[Figure]:
    """What is read beyond what a run on config.json alone reads: that run imports the same modules."""
    whole = run((*WEIGHTSCOPE, "inspect", str(directory))).read
    alone = run((*WEIGHTSCOPE, "inspect", str(directory / "config.json"))).read
    if whole is None or alone is None:
        return []
    headers = header_bytes(directory)
    twice = SNIFFED * len(list(directory.glob("*.safetensors")))
    extra = max(0, whole - alone - headers - twice)
    return [
        Figure(group=group, name="read of headers and index", value=headers + twice, unit="bytes"),
        Figure(group=group, name="read of tensor data", value=extra, unit="bytes", limit=0),
    ]


def loaded_modules() -> list[str]:
    """What `weightscope --help` imports."""
    listed = subprocess.run([*LISTING, "--help"], env=environment(), capture_output=True, text=True, check=True)
    return listed.stderr.split()


def importing(group: str) -> list[Figure]:
    modules = loaded_modules()
    unwanted = [name for name in modules if any(name == f or name.startswith(f"{f}.") for f in FORBIDDEN)]
    rich = [name for name in modules if name == "rich" or name.startswith("rich.")]
    return [
        Figure(group=group, name="modules imported", value=len(modules), unit=""),
        Figure(group=group, name=_named("of them rich", rich), value=len(rich), unit=""),
        Figure(group=group, name=_named("of them unwanted", unwanted), value=len(unwanted), unit="", limit=0),
    ]


def _named(what: str, modules: list[str]) -> str:
    return f"{what} ({', '.join(modules)})" if modules else what


def ghost(config: Path, directory: Path, shards: int) -> Path:
    command = [sys.executable, str(HERE / "ghost.py"), str(config), str(directory), "--shards", str(shards)]
    subprocess.run(command, env=environment(), check=True, stdout=subprocess.DEVNULL)
    return directory


def measure(scratch: Path, rounds: int) -> list[Figure]:
    large = ghost(HERE / "deepseek_v3.json", scratch / "DeepSeek-V3", SHARDS)
    (scratch / "tiny.json").write_text(json.dumps(TINY), encoding="utf-8")
    tiny = ghost(scratch / "tiny.json", scratch / "tiny", 1)
    against_floor = {
        "inspect": (*WEIGHTSCOPE, "inspect", str(large)),
        "decoding the headers": (sys.executable, str(HERE / "floor.py"), str(large)),
    }
    against_inspect = {
        "check": (*WEIGHTSCOPE, "check", str(large)),
        "inspect": (*WEIGHTSCOPE, "inspect", str(large)),
    }
    against_imports = {
        "inspect": (*WEIGHTSCOPE, "inspect", str(tiny)),
        "importing typer, rich, msgspec": IMPORTS,
    }
    if peer := installed("modelinfo-cli"):
        against_imports[f"modelinfo-cli {peer}"] = (*MODELINFO, str(tiny / "model.safetensors"))
    title = f"DeepSeek-V3 in FP8, {SHARDS} shards"
    return [
        *compare(title, against_floor, 3, rounds),
        *reading(title, large),
        *compare(title, against_inspect, 1.3, rounds),
        *compare("a tiny Llama, one file", against_imports, 1.6, 3 * rounds),
        *importing("weightscope --help"),
    ]


def installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def main() -> None:
    """Measure, print, and with --json write the figures to a file as well."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=11, help="runs of each command; three times as many of tiny ones")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE as well")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="weightscope-bench-") as scratch:
        figures = measure(Path(scratch), arguments.rounds)
    system = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    print(f"{system}; medians of {arguments.rounds} interleaved runs or more")
    group = ""
    for figure in figures:
        if figure.group != group:
            group = figure.group
            print(f"\n{group}")
        print(figure.line)
    if arguments.json:
        document = {"system": system, "rounds": arguments.rounds, "figures": [asdict(figure) for figure in figures]}
        arguments.json.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
