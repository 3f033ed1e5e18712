"""The estimate of a training step's activations is within a tenth of what torch's profiler measures."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

import weightscope
from tests.analyses.configs import config_of
from tests.analyses.scaled_tiny import scaled
from tests.analyses.training_peaks import BATCH, TOKENS, assert_peaks
from weightscope.analyses.memory.measured import STEPS
from weightscope.analyses.memory.training import Training

LLAMA: dict[str, Any] = {
    "hidden_size": 128, "intermediate_size": 512, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 32,
    "vocab_size": 500, "num_hidden_layers": 4, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0,
}  # fmt: skip
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("Llama", LLAMA),
    "llama-large-vocabulary": ("Llama", LLAMA | {"vocab_size": 20_000}),
    "qwen3-wide-attention": ("Qwen3", LLAMA | {"head_dim": 64, "intermediate_size": 256}),
    "gemma-tied": ("Gemma", LLAMA | {"vocab_size": 4000, "num_hidden_layers": 2}),
    "qwen3-narrow": ("Qwen3", LLAMA | {"hidden_size": 64, "num_attention_heads": 8, "intermediate_size": 64}),
    "mixtral-wide-experts": ("Mixtral", LLAMA | {"num_local_experts": 4, "num_hidden_layers": 1}),
    "mixtral": ("Mixtral", LLAMA | {"num_local_experts": 4, "num_experts_per_tok": 2, "intermediate_size": 256}),
    "qwen3_moe-small-experts": (
        "Qwen3Moe", LLAMA | {"num_experts": 16, "num_experts_per_tok": 4, "moe_intermediate_size": 32},
    ),
}  # fmt: skip


# Types of language models that have a head within a wrapper alone.
WRAPPERS = {
    "glm4v_text": "glm4v", "qwen2_5_vl_text": "qwen2_5_vl", "qwen2_vl_text": "qwen2_vl",
    "qwen3_vl_moe_text": "qwen3_vl_moe", "qwen3_vl_text": "qwen3_vl",
}  # fmt: skip
DROPOUT = ("attention_dropout", "attn_pdrop", "dropout", "embd_pdrop", "resid_pdrop", "residual_dropout")


def assert_within_a_tenth(model: Any, dtype: str, directory: Path) -> None:
    model.train()
    path = config_of(model, directory)
    model.to(getattr(torch, dtype))
    memory = weightscope.open(path).memory(context=TOKENS, batch=BATCH, trainable="full", precision=dtype)
    assert memory.training
    assert_peaks(model, memory.training)


def built(name: str) -> Any:
    """A tiny model of a type, without dropout."""
    tiny = scaled(WRAPPERS.get(name, name))
    config = getattr(transformers, f"{tiny.kind}Config")(**copy.deepcopy(tiny.keys))
    for key in DROPOUT:
        if hasattr(config, key):
            setattr(config, key, 0.0)
    return tiny.of(config)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", MODELS)
def test_the_estimate_is_within_a_tenth(name: str, dtype: str, tmp_path: Path) -> None:
    kind, keys = MODELS[name]
    config = getattr(transformers, f"{kind}Config")(**keys)
    assert_within_a_tenth(transformers.AutoModelForCausalLM.from_config(config), dtype, tmp_path)


@pytest.mark.parametrize("name", sorted(STEPS))
def test_every_type_with_an_estimate(name: str, tmp_path: Path) -> None:
    """In bfloat16, where what is computed in float32 takes twice as much."""
    assert_within_a_tenth(built(name), "bfloat16", tmp_path)


def training_of(config: Any, directory: Path, plan: str = "full") -> Training:
    config.save_pretrained(directory)
    training = weightscope.open(directory / "config.json").memory(context=10, trainable=plan).training
    assert training
    return training


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (
            transformers.GPT2Config(n_embd=64, n_head=4, n_layer=2, vocab_size=64),
            "a training step with attn_pdrop was",
        ),
        (transformers.BloomConfig(hidden_size=64, n_head=4, n_layer=2), "a training step of bloom was"),
        (
            transformers.LlamaConfig(**LLAMA, architectures=["LlamaForSequenceClassification"]),
            "a training step without a head over the vocabulary was",
        ),
        (transformers.LlamaConfig(**LLAMA, attention_dropout=0.1), "a training step with attention_dropout was"),
    ],
)
def test_what_was_not_measured_is_refused_by_name(config: Any, why: str, tmp_path: Path) -> None:
    training = training_of(config, tmp_path)
    assert training.activations is None
    assert f"Activations are not estimated: {why} not measured." in training.notes


@pytest.mark.parametrize("plan", ["full", "lora:r=4,targets=in_proj"])
def test_a_recurrence_is_refused_as_it_is_of_a_pass(plan: str, tmp_path: Path) -> None:
    config = transformers.MambaConfig(hidden_size=64, num_hidden_layers=2, vocab_size=64)
    training = training_of(config, tmp_path, plan)
    assert training.activations is None
    why = "mamba layers need far more in plain torch than in their GPU kernels"
    assert f"Activations are not estimated: {why}." in training.notes


def test_a_step_by_hand() -> None:
    """fixtures/llama in float32: 3 layers of 422 elements, 3 · 24 of the last norm, 3 · 256 logits, of 4 bytes."""
    llama = weightscope.open(Path(__file__).parents[2] / "fixtures" / "llama")
    training = llama.memory(context=1000, batch=2, trainable="full", precision="float32").training
    assert training
    assert training.activations
    # Two norms of 3 · 24; 2 · 24 of queries, 8 keys, 8 values, 6 of the softmax; 4 · 52 of the MLP.
    layer = 2 * 72 + 48 + 8 + 8 + 6 + 4 * 52
    assert training.activations.kept == 2000 * 4 * (3 * layer + 72 + 768)
    assert training.activations.checkpointed == 2000 * 4 * (3 * 24 + max(72 + 768, layer + 24 + 2 * 52))
