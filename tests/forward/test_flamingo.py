"""Idefics is named and counted, part by part; its pass is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file

import weightscope
from weightscope.errors import NotImplementedByWeightscope


def test_the_pass_is_refused_by_name(saved: Callable[[str], Path]) -> None:
    with pytest.raises(NotImplementedByWeightscope, match="Idefics, whose layers attend to images"):
        weightscope.open(saved("idefics")).forward([1, 2, 3])


def test_eye_bridge_and_language_are_counted_apart(saved: Callable[[str], Path]) -> None:
    tensors = load_file(saved("idefics-resampled") / "model.safetensors")
    expected = [
        sum(t.numel() for name, t in tensors.items() if part in name)
        for part in ("vision_model", "perceiver_resampler")
    ]
    counted = {c.component: c.parameters for c in weightscope.open(saved("idefics-resampled")).components}
    assert [counted["vision"], counted["projector"]] == expected


def test_a_gate_says_what_it_multiplies(saved: Callable[[str], Path]) -> None:
    tensors = weightscope.open(saved("idefics")).tensors
    roles = [tensors[f"model.gated_cross_attn_layers.0.{name}"].role for name in ("alpha_cross_attn", "alpha_dense")]
    assert roles == ["attention_gate", "feed_forward_gate"]
