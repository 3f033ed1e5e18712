"""Figures of reading every value: `check --values` beside a plain read, an FP8 matrix undone beside torch's own."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.forward import ONE_B
from benchmarks.ghost import write_ghost
from benchmarks.measure import HERE, WEIGHTSCOPE, Figure, interleaved
from weightscope.quantization.common.float8 import scaled_by_blocks

# One of DeepSeek-V3's, with a scale for each 128 × 128.
ROWS, COLUMNS, BLOCK = 7168, 2048, 128


def measure_values(scratch: Path, rounds: int) -> list[Figure]:
    """All figures."""
    return [*checked(scratch, rounds), *undone(rounds)]


def checked(scratch: Path, rounds: int) -> list[Figure]:
    """Whole processes, by processor time: all values of a model of 2.5 GB, and its files read into one buffer."""
    source, directory = scratch / "values.json", scratch / "values"
    source.write_text(json.dumps(ONE_B), encoding="utf-8")
    write_ghost(source, directory)
    commands = {
        "check --values": (*WEIGHTSCOPE, "check", str(directory), "--values"),
        "plain read": (sys.executable, str(HERE / "plain_read.py"), str(directory)),
    }
    seconds = {name: statistics.median(r.cpu for r in of) for name, of in interleaved(commands, rounds).items()}
    group = "every value of 1.2 B in bfloat16"
    ratio = seconds["check --values"] / seconds["plain read"]
    return [
        *(Figure(group=group, name=name, value=value, unit="s") for name, value in seconds.items()),
        Figure(group=group, name="check --values / plain read", value=ratio, unit="×", limit=1.3),
    ]


def undone(rounds: int) -> list[Figure]:
    """One FP8 matrix as float32, against torch's conversion and a product with the scales spread out."""
    torch.set_num_threads(1)
    weight = torch.randn(ROWS, COLUMNS).to(torch.float8_e4m3fn)
    scale = torch.rand(ROWS // BLOCK, COLUMNS // BLOCK) + 0.5

    def plainly() -> torch.Tensor:
        spread = scale.repeat_interleave(BLOCK, 0).repeat_interleave(BLOCK, 1)
        return weight.float().mul_(spread)

    def ours() -> torch.Tensor:
        return scaled_by_blocks(weight, scale, BLOCK, BLOCK)

    times: dict[Callable[[], torch.Tensor], list[float]] = {ours: [], plainly: []}
    for turn in range(rounds + 1):
        for run, of in times.items():
            start = time.process_time()
            run()
            if turn:
                of.append(time.process_time() - start)
    mine, theirs = (statistics.median(of) for of in times.values())
    group = f"an FP8 matrix of {ROWS:,} × {COLUMNS:,}, one core"
    return [
        Figure(group=group, name="undone", value=mine, unit="s"),
        Figure(group=group, name="undone / torch", value=mine / theirs, unit="×", limit=0.5),
    ]
