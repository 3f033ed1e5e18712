"""Models as llama.cpp's own converter writes them, against transformers (see `fixtures/gguf/make.py`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

import weightscope
from fixtures.gguf.make import TOKENS, WRITTEN, build, pixels
from fixtures.gguf.models import EYES, MODELS

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
    writes = MODELS[name][0].endswith("5ForConditionalGeneration")
    inputs: dict[str, Any] = {"decoder_input_ids": [WRITTEN]} if writes else {}
    logits = weightscope.open(FIXTURES / f"{name}.gguf").forward(TOKENS, **inputs).output
    assert logits is not None
    close(logits.numpy(), expected)


@pytest.mark.parametrize("name", EYES)
def test_a_vision_part_makes_the_vectors_of_transformers(name: str) -> None:
    model = weightscope.open(FIXTURES / f"{name}.gguf")
    assert model.inventory.unrecognized == ()
    assert [finding for finding in model.check() if finding.severity != "info"] == []
    assert {tensor.component for tensor in model.tensors.values()} <= {"vision", "projector"}
    image: dict[str, Any] = pixels(name)
    output = model.forward(**image).output
    assert output is not None
    close(output.numpy(), np.load(FIXTURES / "eyes.npz")[name])


def close(found: np.ndarray[Any, Any], expected: np.ndarray[Any, Any]) -> None:
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < TOLERANCE * np.sqrt(np.square(expected).mean())


def test_an_adapter_acts_on_it_as_on_safetensors(tmp_path: Path) -> None:
    build(*MODELS["llama"][:2]).save_pretrained(tmp_path / "base")
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    place = "base_model.model.model.layers.{}.self_attn.q_proj.lora_{}.weight"
    rng = np.random.default_rng(0)
    shapes = {"A": (2, 24), "B": (24, 2)}
    tensors = {
        place.format(layer, factor): rng.normal(size=shape).astype("f4")
        for layer in range(2)
        for factor, shape in shapes.items()
    }
    save_file(tensors, adapter / "adapter_model.safetensors")
    settings = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj"], "task_type": "CAUSAL_LM"}
    (adapter / "adapter_config.json").write_text(json.dumps(settings))
    models = [weightscope.open(path) for path in (tmp_path / "base", FIXTURES / "llama.gguf")]
    bare, changed = ([model.forward(TOKENS, adapter=a).output for model in models] for a in ((), adapter))
    assert changed[0] is not None
    assert changed[1] is not None
    assert bare[0] is not None
    np.testing.assert_allclose(changed[0].numpy(), changed[1].numpy(), atol=1e-5)
    assert (changed[0] - bare[0]).abs().max() > 0.01
