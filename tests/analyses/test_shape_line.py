"""The shape of a model in one line: encoders, both halves of an encoder-decoder, towers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import weightscope

# By the configs in tests/families/tiny*.py.
LINES = {
    "llama-mqa-head_dim": "3 layers · hidden 24 · 6 heads of 10 (1 kv) · mlp 52 · vocabulary 101",
    "bert-base": "3 layers · hidden 24 · 6 heads of 4, bidirectional · mlp 52 · vocabulary 101",
    # Four layers share the weights of one.
    "albert": "4 layers · hidden 24 · 6 heads of 4, bidirectional · mlp 52 · vocabulary 101",
    "bart": "3 encoder layers · 2 decoder layers · hidden 24 · 6 heads of 4, bidirectional in 3 layers · "
    "mlp 52 in 3 layers · 3 heads of 8 in 2 layers · cross-attention with 3 heads of 8 in 2 layers · "
    "mlp 46 in 2 layers · vocabulary 101",
    "whisper": "2 decoder layers · hidden 24 · 3 heads of 8 · cross-attention with 3 heads of 8 · mlp 46 · "
    "vocabulary 101 · audio 3 layers of 24, clips of 34 frames of 10",
    "blip": "2 layers · hidden 24 · 3 heads of 8 · cross-attention with 3 heads of 8 · mlp 52 · vocabulary 101 · "
    "vision 2 layers of 20, 28 px in patches of 7",
}


@pytest.mark.parametrize("name", LINES)
def test_the_shape_in_a_line(name: str, saved: Callable[[str], Path]) -> None:
    assert weightscope.open(saved(name)).summary().model.shape == LINES[name]
