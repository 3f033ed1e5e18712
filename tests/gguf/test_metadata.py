"""Metadata that is absent, absurd or of another kind: an error of ours in any case, and nothing is listed by it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

import weightscope
from fixtures.gguf.models import EYES, MODELS
from weightscope.checkpoint.gguf_metadata import Metadata
from weightscope.errors import CheckpointError, UndeclaredError, WeightscopeError
from weightscope.gguf.opening import declared, described

FIXTURES = Path(__file__).parents[2] / "fixtures" / "gguf"
ODD = (None, 0, -1, 2**63, float("nan"), True, "x", (), (1, 2, 3), (2**40,) * 4)


def changed(metadata: Metadata, key: str, value: Any) -> Metadata:
    values = {name: old for name, old in metadata.values.items() if name != key}
    return replace(metadata, values=values if value is None else values | {key: value})


@pytest.mark.parametrize("name", [*MODELS, *EYES])
def test_no_value_of_a_key_is_a_traceback(name: str) -> None:
    checkpoint = weightscope.open(FIXTURES / f"{name}.gguf").checkpoint
    metadata = described(checkpoint)
    assert metadata is not None
    for key in (key for key in metadata.values if key.startswith(f"{metadata.architecture}.")):
        for value in ODD:
            with suppress(WeightscopeError):
                declared(changed(metadata, key, value), checkpoint)


@pytest.mark.parametrize(
    ("name", "key", "value", "error", "said"),
    [
        ("lfm2", "lfm2.attention.head_count_kv", (0, 2), CheckpointError, "not a number for each of 3 layers"),
        ("lfm2", "lfm2.attention.head_count_kv", (0, 2, 3), UndeclaredError, "differs between layers"),
        ("lfm2", "lfm2.attention.head_count_kv", None, UndeclaredError, "lacks the metadata key"),
        ("smollm3", "smollm3.block_count", 2**40, CheckpointError, "not a number of layers that a model has"),
        ("gemma3n", "gemma3n.activation_sparsity_scale", ("x",), CheckpointError, "not an array of numbers"),
        ("mamba2", "mamba2.ssm.time_step_rank", 5, UndeclaredError, "48 elements is not 5 equal parts"),
        ("jamba", "jamba.attention.head_count_kv", (2, 2, 0, 2), UndeclaredError, "layers at uneven distances"),
        ("llama4", "llama4.expert_count", 0, UndeclaredError, "without experts or without chunks"),
    ],
)
def test_what_is_wrong_is_said(name: str, key: str, value: Any, error: type[Exception], said: str) -> None:
    checkpoint = weightscope.open(FIXTURES / f"{name}.gguf").checkpoint
    metadata = described(checkpoint)
    assert metadata is not None
    with pytest.raises(error, match=said):
        declared(changed(metadata, key, value), checkpoint)
