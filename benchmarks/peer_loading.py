"""What a person writes today to see whether a model computes: load it with transformers in float32, run it once."""

from __future__ import annotations

import sys

import torch
from transformers import AutoModelForCausalLM

model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32)
with torch.no_grad():
    logits = model(torch.tensor([[int(token) for token in sys.argv[2].split(",")]])).logits
print(logits[0, -1].topk(5))
