"""What a GGUF file takes: its weights as they are stored, and states in the types that llama.cpp keeps them in."""

from __future__ import annotations

from pathlib import Path

import gguf
import pytest

import weightscope

FILES = sorted((Path(__file__).parents[2] / "fixtures" / "gguf").glob("*.gguf"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_weights_are_loaded_as_they_are_stored(path: Path) -> None:
    found = weightscope.open(path).memory(context=10).weights
    reader = gguf.GGUFReader(path)
    expected = sum(int(tensor.n_bytes) for tensor in reader.tensors)
    # Apertus has some of its weights, float32, in arrays of the metadata.
    expected += sum(4 * len(field.data) for key, field in reader.fields.items() if key.startswith("xielu."))
    assert found.loaded + found.auxiliary == found.stored == expected


def test_states_have_the_types_of_llama_cpp() -> None:
    """Its `--cache-type-k` and `-v` are f16 unless told otherwise; recurrent states are float32, and so is the rest."""
    path = next(path for path in FILES if path.stem == "jamba")
    state = weightscope.open(path).memory(context=10).state
    assert state
    kinds = {row.kind: row.dtype for row in state.rows}
    assert kinds == {"keys_and_values": "F16", "convolution": "F32", "recurrence": "F32"}
    state = weightscope.open(path).memory(context=10, kv_dtype="int8").state
    assert state
    assert {row.kind: row.dtype for row in state.rows}["keys_and_values"] == "I8"


def test_activations_are_not_estimated() -> None:
    """Of llama, whose pass in transformers was measured."""
    found = weightscope.open(next(path for path in FILES if path.stem == "llama")).memory(context=10)
    assert found.activations is None
    assert "Activations are not estimated: llama.cpp plans its buffers itself." in found.notes


def test_a_step_reads_the_decoder() -> None:
    """All of T5's decoder but what makes keys and values of the encoder's output, the tied table, and the state."""
    path = next(path for path in FILES if path.stem == "t5")
    found = weightscope.open(path).memory(context=10)
    made_once = ("cross_attn_k.weight", "cross_attn_v.weight")
    expected = sum(
        int(tensor.n_bytes)
        for tensor in gguf.GGUFReader(path).tensors
        if tensor.name == "token_embd.weight"
        or (tensor.name.startswith("dec.") and not tensor.name.endswith(made_once))
    )
    assert found.work
    assert found.state
    assert found.work.read == expected + found.state.total.logical
