"""Figures of reading every value: `stats`, `diff --values` and `lock` beside other code on the same bytes."""

from __future__ import annotations

import json
import os
import statistics
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import torch
from safetensors import safe_open

import weightscope
from benchmarks.forward import ONE_B
from benchmarks.ghost import write_ghost
from benchmarks.measure import Figure

GROUP = "every value of 1.2 B in bfloat16, by the clock, all cores"
BLOCK = 1 << 25


def measure_numbers(scratch: Path, rounds: int) -> list[Figure]:
    """All figures, taken in turns in this process; the files are in the page cache after the first turn."""
    first = written(scratch, "first", seed=0)
    second = written(scratch, "second", seed=1)
    works: dict[str, Callable[[], object]] = {
        "torch.isfinite": lambda: all(bool(torch.isfinite(tensor).all()) for tensor in tensors(first)),
        "stats": lambda: weightscope.open(first).stats(),
        "diff": lambda: weightscope.diff(first, second, values=True),
        "sha256": lambda: hashed(first, "sha256"),
        "lock": lambda: weightscope.open(first).lock(),
    }
    if _has_blake3():
        works["blake3"] = lambda: hashed(first, "blake3")
        works["lock by blake3"] = lambda: weightscope.open(first).lock(algorithm="blake3")
    seconds = timed(works, rounds)
    figures = [Figure(group=GROUP, name=name, value=value, unit="s") for name, value in seconds.items()]
    against = [("stats", "torch.isfinite", 2.0), ("diff", "torch.isfinite", 3.0), ("lock", "sha256", 1.25)]
    against += [("lock by blake3", "blake3", 1.25)] if _has_blake3() else []
    for name, peer, limit in against:
        ratio = seconds[name] / seconds[peer]
        figures.append(Figure(group=GROUP, name=f"{name} / {peer}", value=ratio, unit="×", limit=limit))
    return figures


def written(scratch: Path, name: str, *, seed: int, config: Mapping[str, Any] = ONE_B) -> Path:
    """A model, of 2.5 GB, with values as trained ones are: normal, one block of them again and again."""
    source, directory = scratch / "numbers.json", scratch / name
    source.write_text(json.dumps(config), encoding="utf-8")
    write_ghost(source, directory)
    block = np.random.default_rng(seed).standard_normal(BLOCK, dtype=np.float32) * np.float32(0.02)
    raw = block.astype(ml_dtypes.bfloat16).tobytes()
    for file in directory.glob("*.safetensors"):
        size = file.stat().st_size
        with file.open("r+b") as out:
            start = 8 + int.from_bytes(out.read(8), "little")
            out.seek(start)
            for at in range(start, size, len(raw)):
                out.write(raw[: min(len(raw), size - at)])
    return directory


def timed(works: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """The median of each; the first turn of all is not counted."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(rounds + 1):
        for name, work in works.items():
            start = time.monotonic()
            work()
            if turn:
                times[name].append(time.monotonic() - start)
    return {name: statistics.median(of) for name, of in times.items()}


def tensors(directory: Path) -> Sequence[torch.Tensor]:
    """All of them, mapped."""
    found = []
    for file in sorted(directory.glob("*.safetensors")):
        with safe_open(file, framework="pt") as opened:
            found += [opened.get_tensor(name) for name in opened.keys()]  # noqa: SIM118 - it is no mapping
    return found


def hashed(directory: Path, name: str) -> None:
    """The bytes of each tensor by one thread a core, a tensor at a time."""
    from weightscope.analyses.lock.record import Algorithm, hasher_of

    algorithm: Algorithm = "blake3" if name == "blake3" else "sha256"
    make, waiting = hasher_of(algorithm), list(tensors(directory))

    def work() -> None:
        while waiting:
            try:
                tensor = waiting.pop()
            except IndexError:
                return
            hasher = make()
            hasher.update(tensor.contiguous().view(-1).view(torch.uint8).numpy().data)

    threads = [threading.Thread(target=work) for _ in range(os.cpu_count() or 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _has_blake3() -> bool:
    from importlib.util import find_spec

    return find_spec("blake3") is not None
