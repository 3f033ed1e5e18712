"""Measure what reads headers against floors: a large model, a tiny one, many files, many models, and how it grows."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

# Run as a file, it sees its own directory alone.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.measure import HERE, WEIGHTSCOPE, Figure, environment, interleaved, run, show

Command = tuple[str, ...]
PYTHON = (sys.executable, "-c")
DEEPSEEK = HERE / "deepseek_v3.json"
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
MODELS = 143
IMPORTS: dict[str, Command] = {
    "importing typer, rich, msgspec": (*PYTHON, "import typer, rich.console, rich.table, msgspec")
}
COUNT = (
    *PYTHON,
    "import json, sys; print(len(json.load(open(sys.argv[1] + '/model.safetensors.index.json'))['weight_map']))",
)


def ghost(config: Path, directory: Path, shards: int) -> Path:
    """A checkpoint of holes."""
    command = [sys.executable, str(HERE / "ghost.py"), str(config), str(directory), "--shards", str(shards)]
    subprocess.run(command, env=environment(), check=True, stdout=subprocess.DEVNULL)
    return directory


def compare(group: str, commands: Mapping[str, Command], limits: Mapping[str, float], rounds: int) -> list[Figure]:
    """Processor seconds of each command, user and system; the first's ratio to each other, and its peak memory."""
    runs = interleaved(commands, rounds)
    medians = {name: statistics.median(run.cpu for run in of) for name, of in runs.items()}
    first, *others = medians
    figures = [Figure(group=group, name=name, value=seconds, unit="s") for name, seconds in medians.items()]
    for other in others:
        ratio = medians[first] / medians[other]
        figures.append(Figure(group=group, name=f"{first} / {other}", value=ratio, unit="×", limit=limits.get(other)))
    peak = statistics.median(run.peak_bytes for run in runs[first]) / 1e6
    return [*figures, Figure(group=group, name=f"{first}: peak memory", value=peak, unit="MB", limit=limits.get("MB"))]


def large(directory: Path, rounds: int) -> list[Figure]:
    """DeepSeek-V3."""
    title = "DeepSeek-V3 in FP8: 163 shards, 91,991 tensors"
    inspect = (*WEIGHTSCOPE, "inspect", str(directory))
    floor = {"decoding the headers": script("floor.py", directory)}
    kept = {"keeping what was read": script("kept.py", directory)}
    listing = {"tensors --json": (*WEIGHTSCOPE, "tensors", str(directory), "--json")}
    return [
        *compare(
            title,
            {"inspect": inspect} | floor | kept,
            {"decoding the headers": 3, "keeping what was read": 2, "MB": 100},
            rounds,
        ),
        *compare(title, listing | floor, {"decoding the headers": 6, "MB": 100}, rounds),
        *compare(
            title, {"check": (*WEIGHTSCOPE, "check", str(directory)), "inspect": inspect}, {"inspect": 1.6}, rounds
        ),
    ]


def tiny(directory: Path, rounds: int) -> list[Figure]:
    """What a start costs."""
    nothing: dict[str, Command] = {"an empty program": (*PYTHON, "pass")}
    inspect: Command = (*WEIGHTSCOPE, "inspect", str(directory))
    version: Command = (*WEIGHTSCOPE, "--version")
    title = "a tiny Llama in one file"
    return [
        *compare(title, {"inspect": inspect} | IMPORTS | nothing,
                 {"importing typer, rich, msgspec": 0.82}, rounds),
        *compare(title, {"--version": version} | nothing, {"an empty program": 1.1}, rounds),
    ]  # fmt: skip


def many(directory: Path, rounds: int) -> list[Figure]:
    """DeepSeek-V3 in 10,000 files."""
    commands = {
        "inspect": (*WEIGHTSCOPE, "inspect", str(directory)),
        "decoding the headers": script("floor.py", directory),
        "opening and reading": script("opened.py", directory),
    }
    return compare("the same tensors in 10,000 files", commands, {"decoding the headers": 2}, rounds)


def batch(scratch: Path) -> list[Figure]:
    """All models in one check, and each in one of its own."""
    first = ghost(tiny_config(scratch), scratch / "models" / "0", 1)
    models = [first, *(_copy(first, first.parent / str(number)) for number in range(1, MODELS))]
    together = run((*WEIGHTSCOPE, "check", *map(str, models))).cpu
    each = sum(run((*WEIGHTSCOPE, "check", str(model))).cpu for model in models)
    title = f"check of {MODELS} tiny models"
    return [
        Figure(group=title, name="in one process", value=together, unit="s"),
        Figure(group=title, name="a process each", value=each, unit="s"),
        Figure(group=title, name="in one process / a process each", value=together / each, unit="×", limit=0.1),
    ]


def growth(scratch: Path, rounds: int) -> list[Figure]:
    """Processor time of `inspect` as tensors, and as files, grow tenfold."""
    figures = []
    config = json.loads(DEEPSEEK.read_text(encoding="utf-8"))
    for experts, shards in ((25, 163), (256, 163), (2790, 163), (256, 10), (256, 100), (256, 1000), (256, 10_000)):
        path = scratch / f"experts-{experts}.json"
        path.write_text(json.dumps(config | {"n_routed_experts": experts}), encoding="utf-8")
        directory = ghost(path, scratch / f"{experts}-{shards}", shards)
        # Counted elsewhere: a process starts with the peak memory of the one that started it.
        told = subprocess.run([*COUNT, str(directory)], capture_output=True, text=True, check=True).stdout
        runs = interleaved({"inspect": (*WEIGHTSCOPE, "inspect", str(directory))}, rounds)["inspect"]
        name = f"{int(told):,} tensors in {shards:,} files"
        group = "how inspect grows"
        figures.append(Figure(group=group, name=name, value=statistics.median(r.cpu for r in runs), unit="s"))
        peak = statistics.median(r.peak_bytes for r in runs) / 1e6
        figures.append(Figure(group=group, name=f"{name}: peak memory", value=peak, unit="MB"))
    return figures


def tiny_config(scratch: Path) -> Path:
    """The tiny Llama's."""
    path = scratch / "tiny.json"
    path.write_text(json.dumps(TINY), encoding="utf-8")
    return path


def script(name: str, directory: Path) -> Command:
    """One of the floors beside this file."""
    return (sys.executable, str(HERE / name), str(directory))


def _copy(model: Path, to: Path) -> Path:
    to.mkdir()
    for path in model.iterdir():
        (to / path.name).write_bytes(path.read_bytes())
    return to


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=11, help="runs of each command")
    parser.add_argument("--grow", action="store_true", help="also measure 10^4 to 10^6 tensors, 10 to 10^4 files")
    arguments = parser.parse_args()
    rounds: int = arguments.rounds
    with tempfile.TemporaryDirectory(prefix="weightscope-bench-") as name:
        scratch = Path(name)
        figures = [
            *large(ghost(DEEPSEEK, scratch / "DeepSeek-V3", 163), rounds),
            *tiny(ghost(tiny_config(scratch), scratch / "tiny", 1), 3 * rounds),
            *many(ghost(DEEPSEEK, scratch / "many", 10_000), rounds),
            *batch(scratch),
            *(growth(scratch, max(rounds // 3, 3)) if arguments.grow else ()),
        ]
    show(figures, rounds)


if __name__ == "__main__":
    main()
