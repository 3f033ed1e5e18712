"""The pass alone, weights in memory on both sides: median seconds of ours and of transformers', in turns, as JSON."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable

import torch
from transformers import AutoModelForCausalLM

import weightscope

path, count, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
tokens = [(7919 * i) % 49_000 for i in range(count)]
ours = weightscope.open(path)
theirs = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
batch = torch.tensor([tokens])


def run_theirs() -> object:
    with torch.no_grad():
        return theirs(batch, use_cache=False)


passes: dict[str, Callable[[], object]] = {
    "ours": lambda: ours.forward(tokens, hold=True, measure=False),
    "transformers'": run_theirs,
    "ours, every stage measured": lambda: ours.forward(tokens, hold=True),
}
seconds: dict[str, list[float]] = {name: [] for name in passes}
# Processor time where only one core is used: what others do beside it then counts less.
clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
for turn in range(rounds + 2):
    for name, run in passes.items():
        start = clock()
        run()
        if turn >= 2:
            seconds[name].append(clock() - start)
print(json.dumps({name: statistics.median(of) for name, of in seconds.items()}))
