"""Measure whole runs of weightscope against floors and peers, on checkpoints made for it; `make bench` runs this."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

# Run as a file, it sees its own directory alone.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.forward import measure_forward
from benchmarks.gguf_files import measure_gguf
from benchmarks.measure import HERE, WEIGHTSCOPE, Figure, environment, header_bytes, run, show, system
from benchmarks.quantized import measure_quantized
from benchmarks.reading import DEEPSEEK, batch, compare, ghost, large, many, tiny, tiny_config
from benchmarks.remote import afar
from benchmarks.training_runs import measure_training_runs
from benchmarks.value_bounds import measure_bounds
from benchmarks.value_passes import measure_numbers
from benchmarks.values import measure_values

SHARDS = 163
# `weightscope.checkpoint.header.START`: a file is told by its first bytes, then opened by its reader.
SNIFFED = 300
MODELINFO = (sys.executable, "-c", "from modelinfo.cli import main; main()")
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


def measure(scratch: Path, rounds: int) -> list[Figure]:
    deepseek = ghost(DEEPSEEK, scratch / "DeepSeek-V3", SHARDS)
    small = ghost(tiny_config(scratch), scratch / "tiny", 1)
    title = f"DeepSeek-V3 in FP8, {SHARDS} shards"
    return [
        *large(deepseek, rounds),
        *reading(title, deepseek),
        *tiny(small, 3 * rounds),
        *peers(small, rounds),
        *measure_gguf(scratch, 3 * rounds),
        *measure_training_runs(scratch, rounds),
        *many(ghost(DEEPSEEK, scratch / "many", 10_000), rounds),
        *batch(scratch),
        *importing("weightscope --help"),
        *measure_forward(scratch, deepseek, max(rounds // 2, 3)),
        *measure_quantized(scratch, rounds),
        *measure_values(scratch, rounds),
        *measure_numbers(scratch, max(rounds // 4, 3)),
        *measure_bounds(scratch, max(rounds // 2, 3)),
        *afar(f"{title}, on a hub with 30 ms a request that redirects", deepseek, rounds),
        *afar("the same on one that sends the files itself", deepseek, rounds, "--direct", limit=None),
    ]


def peers(model: Path, rounds: int) -> list[Figure]:
    """Another tool for the same, where it is installed."""
    try:
        name = f"modelinfo-cli {version('modelinfo-cli')}"
    except PackageNotFoundError:
        return []
    commands = {"inspect": (*WEIGHTSCOPE, "inspect", str(model)), name: (*MODELINFO, str(model / "model.safetensors"))}
    return compare("a tiny Llama in one file", commands, {}, rounds)


def main() -> None:
    """Measure, print, and with --json write the figures to a file as well."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=11, help="runs of each command; three times as many of tiny ones")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE as well")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="weightscope-bench-") as scratch:
        figures = measure(Path(scratch), arguments.rounds)
    show(figures, arguments.rounds)
    if arguments.json:
        document = {"system": system(), "rounds": arguments.rounds, "figures": [asdict(figure) for figure in figures]}
        arguments.json.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
