"""Models as llama.cpp's own converter writes them, against transformers (see `fixtures/gguf/make.py`)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import weightscope
from fixtures.gguf.make import MODELS, TOKENS

FIXTURES = Path(__file__).parents[2] / "fixtures" / "gguf"
COUNTS = json.loads((FIXTURES / "counts.json").read_text())
# What logits may differ by, of their root mean square.
TOLERANCE = 1e-5


@pytest.mark.parametrize("name", MODELS)
def test_every_tensor_is_recognized_and_counted(name: str) -> None:
    model = weightscope.open(FIXTURES / f"{name}.gguf")
    assert model.inventory.unrecognized == ()
    assert model.parameters.total == COUNTS[name]
    assert [finding for finding in model.check() if finding.severity != "info"] == []


@pytest.mark.parametrize("name", MODELS)
def test_logits_are_those_of_transformers(name: str) -> None:
    expected = np.load(FIXTURES / "expected.npz")[name]
    logits = weightscope.open(FIXTURES / f"{name}.gguf").forward(TOKENS).output
    assert logits is not None
    assert np.abs(logits.numpy() - expected).max() < TOLERANCE * np.sqrt(np.square(expected).mean())
