"""The pass alone, weights in memory on both sides: median seconds of ours and of transformers', in turns, as JSON."""

from __future__ import annotations

import json
import statistics
import sys
import time

import torch
from transformers import AutoModelForCausalLM

import weightscope

path, count, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
tokens = [(7919 * i) % 49_000 for i in range(count)]
ours = weightscope.open(path)
theirs = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
batch = torch.tensor([tokens])
seconds: dict[str, list[float]] = {"ours": [], "theirs": []}
for turn in range(rounds + 2):
    start = time.perf_counter()
    ours.forward(tokens, hold=True)
    middle = time.perf_counter()
    with torch.no_grad():
        theirs(batch, use_cache=False)
    if turn >= 2:
        seconds["ours"].append(middle - start)
        seconds["theirs"].append(time.perf_counter() - middle)
print(json.dumps({name: statistics.median(of) for name, of in seconds.items()}))
