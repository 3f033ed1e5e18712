"""The estimate of a training step's activations is within a tenth of what torch's profiler measures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

import weightscope
from tests.analyses.configs import config_of
from tests.analyses.peaks import peak_of
from weightscope.analyses.memory.backward import MEASURED

TOKENS, BATCH = 256, 2
LLAMA: dict[str, Any] = {
    "hidden_size": 128, "intermediate_size": 512, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 32,
    "vocab_size": 500, "num_hidden_layers": 4, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0,
}  # fmt: skip
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("Llama", LLAMA),
    "llama-large-vocabulary": ("Llama", LLAMA | {"vocab_size": 20_000}),
    "mistral": ("Mistral", LLAMA | {"sliding_window": None}),
    "qwen2": ("Qwen2", LLAMA | {"num_hidden_layers": 6}),
    "qwen3": ("Qwen3", LLAMA),
    "qwen3-wide-attention": ("Qwen3", LLAMA | {"head_dim": 64, "intermediate_size": 256}),
}


def measured(model: Any) -> int:
    """The most bytes that were allocated at once in a step, beyond those before it; gradients are there already."""
    ids = torch.arange(BATCH * TOKENS).reshape(BATCH, TOKENS) % 500

    def step() -> None:
        model(ids, labels=ids, use_cache=False).loss.backward()

    return peak_of(step)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", MODELS)
def test_the_estimate_is_within_a_tenth(name: str, dtype: str, tmp_path: Path) -> None:
    kind, keys = MODELS[name]
    config = getattr(transformers, f"{kind}Config")(**keys)
    model = transformers.AutoModelForCausalLM.from_config(config).train()
    path = config_of(model, tmp_path)
    model.to(getattr(torch, dtype))
    memory = weightscope.open(path).memory(context=TOKENS, batch=BATCH, trainable="full", precision=dtype)
    assert memory.training
    assert memory.training.activations
    model.activation_checkpointing_disable()
    assert memory.training.activations.kept == pytest.approx(measured(model), rel=0.1)
    model.activation_checkpointing_enable()
    assert memory.training.activations.checkpointed == pytest.approx(measured(model), rel=0.1)


def test_every_type_with_an_estimate_is_measured() -> None:
    assert {getattr(transformers, f"{kind}Config").model_type for kind, _ in MODELS.values()} == set(MEASURED)


def test_what_was_not_measured_is_not_estimated(tmp_path: Path) -> None:
    transformers.GPT2Config(n_embd=64, n_head=4, n_layer=2, vocab_size=64).save_pretrained(tmp_path)
    training = weightscope.open(tmp_path / "config.json").memory(context=10, trainable="full").training
    assert training
    assert training.activations is None
    llama = weightscope.open(Path(__file__).parents[2] / "fixtures" / "llama")
    training = llama.memory(context=10, trainable="lora:r=2,targets=q_proj").training
    assert training
    assert training.activations is None


def test_a_step_by_hand() -> None:
    """fixtures/llama in float32: 3 layers of 416 elements, 3 · 24 of the last norm, 3 · 256 logits, of 4 bytes."""
    llama = weightscope.open(Path(__file__).parents[2] / "fixtures" / "llama")
    training = llama.memory(context=100, batch=2, trainable="full", precision="float32").training
    assert training
    assert training.activations
    # Two norms of 3 · 24, 2 · 24 queries, 8 keys, 8 values, and 4 · 52 of the MLP.
    layer = 2 * 72 + 48 + 8 + 8 + 4 * 52
    assert training.activations.kept == 200 * 4 * (3 * layer + 72 + 768)
    assert training.activations.checkpointed == 200 * 4 * (3 * 24 + max(72 + 768, layer + 2 * 52 + 24))
