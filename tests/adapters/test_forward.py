"""A pass with adapters computes what PEFT does: logits from fixtures/adapters/expected.safetensors, PEFT's own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import weightscope as ws
from tests.adapters.peft_files import EXPECTED, FOLDER, PEFT, base_of

TOKENS: list[int] = EXPECTED["tokens"]
LOGITS = load_file(FOLDER / "expected.safetensors")
UNMERGED = sorted(name.removesuffix(".logits") for name in LOGITS if name.endswith(".logits"))
MERGED = sorted(name.removesuffix(".merged") for name in LOGITS if name.endswith(".merged"))
# Differences are shares of the root mean square.
CLOSE = 1e-4


def difference(result: Any, expected: torch.Tensor) -> float:
    """The largest difference of logits, as a share of the rms of those expected."""
    return float((result.logits - expected).abs().max() / expected.square().mean().sqrt())


@pytest.mark.parametrize("name", [name for name in UNMERGED if name != "together"])
def test_against_peft_with_the_adapter_beside_the_weights(name: str) -> None:
    base = base_of(name)
    result = ws.open(base).forward(TOKENS, adapter=PEFT / name)
    assert difference(result, LOGITS[f"{name}.logits"]) < CLOSE
    # What the adapter does is not small.
    assert difference(result, LOGITS[base.name]) > 100 * CLOSE


@pytest.mark.parametrize("name", MERGED)
def test_against_peft_with_the_adapter_merged(name: str) -> None:
    result = ws.open(base_of(name)).forward(TOKENS, adapter=str(PEFT / name))
    assert difference(result, LOGITS[f"{name}.merged"]) < CLOSE


def test_against_peft_with_two_adapters() -> None:
    result = ws.open(base_of("lora")).forward(TOKENS, adapter=[PEFT / "lora", PEFT / "patterns"])
    assert difference(result, LOGITS["together.logits"]) < CLOSE
    turned = ws.open(base_of("lora")).forward(TOKENS, adapter=[PEFT / "patterns", PEFT / "lora"])
    assert difference(turned, LOGITS["together.logits"]) < CLOSE


@pytest.mark.parametrize("name", ["embedding", "tied-embedding", "tied-head", "dora"])
def test_weights_that_are_held_are_the_changed_ones(name: str) -> None:
    model = ws.open(base_of(name))
    plain = model.forward(TOKENS, hold=True)
    for _ in range(2):
        result = model.forward(TOKENS, hold=True, adapter=PEFT / name)
        assert difference(result, LOGITS[f"{name}.logits"]) < CLOSE
    assert difference(plain, LOGITS[base_of(name).name]) < CLOSE
