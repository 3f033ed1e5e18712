"""MLX's packing against what MLX itself dequantizes (fixtures/make.py mlx)."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import weightscope

FIXTURE = Path(__file__).parents[2] / "fixtures" / "qwen3-mlx-4bit"
EXPECTED = load_file(FIXTURE / "expected" / "dequantized.safetensors")


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_dequantized_values(name: str) -> None:
    model = weightscope.open(FIXTURE)
    assert model.declaration is not None
    assert model.declaration.scheme is not None
    read = model.declaration.scheme.read(name, lambda part: model.tensors[part].torch())
    torch.testing.assert_close(read, EXPECTED[name], rtol=1e-6, atol=1e-6)


def test_counts_what_the_packed_words_stand_for() -> None:
    """By hand: two tables of 256 × 64; two layers of q, o 192 × 64, k, v 64 × 64, three of 96 × 64; norms."""
    layer = 2 * 192 * 64 + 2 * 64 * 64 + 3 * 96 * 64
    norms = 64 + 2 * (2 * 64 + 2 * 32)
    model = weightscope.open(FIXTURE)
    assert model.parameters.total == 2 * 256 * 64 + 2 * layer + norms
    assert model.parameters.stored_elements == sum(t.numel() for t in load_file(FIXTURE / "model.safetensors").values())
