"""The peaks of a training step in torch, beside the estimate."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.analyses.peaks import peak_of
from weightscope.analyses.memory.training import Training

TOKENS, BATCH = 96, 2


def assert_peaks(model: Any, training: Training) -> None:
    """Within a tenth of what the profiler sees, without activation checkpointing and with it."""
    estimate = training.activations
    assert estimate
    ids = torch.arange(BATCH * TOKENS).reshape(BATCH, TOKENS) % 90 + 3

    def step() -> None:
        model(input_ids=ids, labels=ids, use_cache=False).loss.backward()

    assert estimate.kept == pytest.approx(peak_of(step), rel=0.1)
    model.activation_checkpointing_enable()
    assert estimate.checkpointed == pytest.approx(peak_of(step, warm=True), rel=0.1)
