"""Bounds of reading every value: memory on 4 GB, one NaN in 2 · 10^9 values, and `sft-cli` where it is installed."""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
from safetensors.numpy import save_file

from benchmarks.forward import ONE_B
from benchmarks.measure import WEIGHTSCOPE, Figure, environment, interleaved
from benchmarks.value_passes import written

# Llama-3.2-1B's sizes with so many layers are 4.05 GB in bfloat16.
LAYERS = 29
GIGABYTE = 1000 * 1000 * 1000
PEAK = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
NAN = b"\xc0\x7f"


def measure_bounds(scratch: Path, rounds: int) -> list[Figure]:
    """All figures."""
    return [*memory(scratch), *against_sft(scratch, rounds)]


def memory(scratch: Path) -> list[Figure]:
    """The peak of each command on one model, of which one value is NaN; how many `stats` finds."""
    model = written(scratch, "four-gigabytes", seed=0, config=ONE_B | {"num_hidden_layers": LAYERS})
    plant_nan(model)
    group = "every value of 2.0 B in bfloat16, 4.05 GB"
    path = str(model)
    commands = {
        "stats": ("stats", path),
        "check --values": ("check", path, "--values"),
        "diff --values": ("diff", path, path, "--values"),
        "lock": ("lock", path),
    }
    figures = []
    for name, command in commands.items():
        peak = peak_of((*WEIGHTSCOPE, *command))
        figures.append(Figure(group=group, name=f"{name}, peak memory", value=peak, unit="bytes", limit=GIGABYTE))
    shown = subprocess.run([*WEIGHTSCOPE, "stats", path, "--json"], env=environment(), check=False, capture_output=True)
    found = sum(tensor["figures"]["nan"] for tensor in json.loads(shown.stdout)["tensors"])
    if found != 1:
        raise SystemExit(f"stats finds {found:,} NaN, and one is there")
    shutil.rmtree(model)
    return [*figures, Figure(group=group, name="NaN found, of one", value=found, unit="")]


def peak_of(command: tuple[str, ...]) -> int:
    """The peak memory of a command, started by a small process: the system counts a parent's memory until it starts."""
    ran = subprocess.run([sys.executable, "-c", PEAK, *command], env=environment(), check=True, capture_output=True)
    return int(ran.stdout) * (1 if sys.platform == "darwin" else 1024)


def plant_nan(model: Path) -> None:
    """Make one value NaN, two thirds through the last file."""
    file = max(model.glob("*.safetensors"))
    with file.open("r+b") as out:
        out.seek(8 + int.from_bytes(out.read(8), "little"))
        start = out.tell()
        out.seek(start + (file.stat().st_size - start) // 3 * 2 // 2 * 2)
        out.write(NAN)


def against_sft(scratch: Path, rounds: int) -> list[Figure]:
    """Whole processes on 250 MB, by processor time; nothing where `sft` is not installed."""
    sft = shutil.which("sft")
    if sft is None:
        return []
    file = scratch / "quarter.safetensors"
    draw = np.random.default_rng(0)
    save_file(
        {
            f"model.layers.{layer}.mlp.up_proj.weight": (
                draw.standard_normal((2048, 2048), dtype=np.float32) * np.float32(0.02)
            ).astype(ml_dtypes.bfloat16)
            for layer in range(30)
        },
        file,
    )
    group = "250 MB in bfloat16, beside sft-cli"
    figures = []
    for ours, theirs, limit in ((("stats",), "stat", 0.5), (("check", "--values", "--exit-zero"), "check", 1.0)):
        commands = {" ".join(ours[:2]): (*WEIGHTSCOPE, *ours, str(file)), f"sft {theirs}": (sft, theirs, str(file))}
        seconds = {n: statistics.median(r.cpu for r in runs) for n, runs in interleaved(commands, rounds).items()}
        figures += [Figure(group=group, name=name, value=value, unit="s") for name, value in seconds.items()]
        (mine, own), (other, their) = seconds.items()
        figures.append(Figure(group=group, name=f"{mine} / {other}", value=own / their, unit="×", limit=limit))
    return figures
