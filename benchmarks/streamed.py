"""A pass with its weights read from the files, beside what its products cost at least: median seconds of each, as JSON.

The floor multiplies by every matrix of two dimensions, each converted from bfloat16 into one warm buffer. It reads
nothing: `read` is what reading the same bytes into a warm buffer takes. All take turns.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from math import prod
from pathlib import Path

import torch

import weightscope
from weightscope.analyses.forward.memory import bound_heaps

CHUNK = 1 << 24

bound_heaps()
path, count, rounds = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
model = weightscope.open(path)
tokens = list(range(1, count + 1))
shapes = [tensor.entry.shape for tensor in model.tensors.values() if len(tensor.entry.shape) == 2]
largest = max(map(prod, shapes))
stored = torch.zeros(largest, dtype=torch.bfloat16)
wide = torch.zeros(largest)
inputs = {shape[1]: torch.zeros(count, shape[1]) for shape in shapes}
buffer = memoryview(bytearray(CHUNK))


def multiply() -> None:
    for rows, columns in shapes:
        matrix = wide[: rows * columns].copy_(stored[: rows * columns]).view(rows, columns)
        torch.nn.functional.linear(inputs[columns], matrix)


def read() -> None:
    for file in sorted(path.glob("*.safetensors")):
        with file.open("rb", buffering=0) as opened:
            while opened.readinto(buffer):
                pass


runs: dict[str, Callable[[], object]] = {
    "forward": lambda: model.forward(tokens, measure=False),
    "products and conversion": multiply,
    "read": read,
}
seconds: dict[str, list[float]] = {name: [] for name in runs}
for turn in range(rounds + 1):
    for name, run in runs.items():
        # Processor time where only one core is used: what others do beside it then counts less.
        clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
        start = clock()
        run()
        if turn:
            seconds[name].append(clock() - start)
print(json.dumps({name: statistics.median(of) for name, of in seconds.items()}))
