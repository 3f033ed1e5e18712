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
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

# Run as a file, it sees its own directory alone.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.forward import measure_forward
from benchmarks.measure import HERE, WEIGHTSCOPE, Figure, environment, header_bytes, interleaved, run
from benchmarks.remote import afar

SHARDS = 163
# `weightscope.checkpoint.header.START`: a file is told by its first bytes, then opened by its reader.
SNIFFED = 300
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
        *measure_forward(scratch, large, max(rounds // 2, 3)),
        *afar(f"{title}, on a hub with 30 ms a request that redirects", large, rounds),
        *afar("the same on one that sends the files itself", large, rounds, "--direct", limit=None),
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
