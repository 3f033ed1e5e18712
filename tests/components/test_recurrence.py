"""The shared recurrences against their definition, one token after another, over more tokens than a chunk has."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch

import weightscope
from tests.families.tiny import TINY, Tiny
from tests.families.tiny_hybrids import LONG
from weightscope.components.recurrent.recurrence import CHUNK, decayed_attention, delta_rule, selective_scan

LENGTH = 2 * CHUNK + 7


def noise(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_selective_scan() -> None:
    x, dt, a = noise(LENGTH, 5, seed=1), noise(LENGTH, 5, seed=2).exp(), -noise(5, 3, seed=3).exp()
    b, c = noise(LENGTH, 3, seed=4), noise(LENGTH, 3, seed=5)
    state = torch.zeros(5, 3, dtype=torch.float64)
    expected = []
    for t in range(LENGTH):
        state = torch.exp(dt[t, :, None] * a) * state + (dt[t] * x[t])[:, None] * b[t]
        expected.append(state @ c[t])
    torch.testing.assert_close(selective_scan(x, dt, a, b, c), torch.stack(expected))


def test_decayed_attention() -> None:
    q, k, v = noise(2, LENGTH, 3, seed=1), noise(2, LENGTH, 3, seed=2), noise(6, LENGTH, 5, seed=3)
    decay = -noise(6, LENGTH, seed=4).abs()
    state = torch.zeros(6, 3, 5, dtype=torch.float64)
    expected = torch.empty_like(v)
    for t in range(LENGTH):
        for head in range(6):
            written = torch.outer(k[head // 3, t], v[head, t])
            state[head] = state[head] * decay[head, t].exp() + written
            expected[head, t] = q[head // 3, t] @ state[head]
    torch.testing.assert_close(decayed_attention(q, k, v, decay), expected)


@pytest.mark.parametrize("alike", [True, False])
def test_delta_rule(alike: bool) -> None:
    q, k, v = noise(LENGTH, 2, 3, seed=1), noise(LENGTH, 2, 3, seed=2) / 2, noise(LENGTH, 2, 5, seed=3)
    decay, rate = -noise(LENGTH, 2, 1 if alike else 3, seed=4).abs(), noise(LENGTH, 2, seed=5).sigmoid()
    state = torch.zeros(2, 3, 5, dtype=torch.float64)
    expected = torch.empty_like(v)
    for t in range(LENGTH):
        for head in range(2):
            faded = state[head] * decay[t, head].exp()[:, None]
            wrong = v[t, head] - k[t, head] @ faded
            state[head] = faded + rate[t, head] * torch.outer(k[t, head], wrong)
            expected[t, head] = q[t, head] @ state[head]
    torch.testing.assert_close(delta_rule(q, k, v, decay, rate), expected)


@pytest.mark.parametrize("tiny", [tiny for tiny in TINY if tiny.name in LONG], ids=lambda tiny: tiny.name)
def test_long_prompts(tiny: Tiny, tmp_path: Path) -> None:
    """What is carried from chunk to chunk, against transformers."""
    tokens = [(7 * at * at + at) % 101 for at in range(LENGTH)]
    oracle = tiny.build()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        oracle.save_pretrained(tmp_path)
    oracle.config._experts_implementation = "eager"
    with torch.no_grad():
        expected = oracle(torch.tensor([tokens]), use_cache=False).logits[0]
    logits = weightscope.open(tmp_path).forward(tokens).logits
    torch.testing.assert_close(logits, expected, rtol=2e-3, atol=2e-3 * float(expected.abs().max()))
