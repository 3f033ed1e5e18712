"""A small model as transformers shards it."""

from __future__ import annotations

from pathlib import Path

import pytest
import transformers


def tiny_llama() -> transformers.PreTrainedModel:
    """As little as a Llama can be, with random weights."""
    config = transformers.LlamaConfig(
        vocab_size=64, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2
    )
    return transformers.LlamaForCausalLM(config)


@pytest.fixture(scope="session")
def model() -> transformers.PreTrainedModel:
    """One model for all that save it."""
    return tiny_llama()


@pytest.fixture(scope="session")
def sharded(model: transformers.PreTrainedModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model in several safetensors shards with an index."""
    directory = tmp_path_factory.mktemp("sharded")
    model.save_pretrained(directory, max_shard_size="8KB")
    return directory
