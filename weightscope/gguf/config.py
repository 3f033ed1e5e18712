"""A GGUF file's metadata as the config that transformers would have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from weightscope.config import Config
from weightscope.gguf.architecture import Architecture
from weightscope.gguf.keys import Keys

# What the file leaves out and the class would fill: null says that there is none.
NULL = {
    "sliding_window", "attn_logit_softcapping", "final_logit_softcapping", "attention_multiplier", "q_lora_rank",
    "hidden_size_per_layer_input",
}  # fmt: skip


def config_of(architecture: Architecture, keys: Keys) -> Config:
    """The config; values that the file does not state and the class would fill are stated as llama.cpp has them."""
    settings = architecture.settings(keys)
    usual = {key: read(keys) for key, read in USUAL.items() if key not in settings}
    data = {"model_type": architecture.model_type} | usual | _ends(keys) | settings
    where = keys.metadata.where
    stated = {key: value for key, value in data.items() if value is not None or key in NULL}
    return Config(stated, source=where if isinstance(where, Path) else None)


# What nearly all language models have. An architecture whose layers differ says of itself what it has of these.
USUAL: Mapping[str, Callable[[Keys], Any]] = {
    "vocab_size": lambda keys: keys.vocabulary,
    "hidden_size": lambda keys: keys.needed("embedding_length"),
    "intermediate_size": lambda keys: keys.whole("feed_forward_length"),
    "num_hidden_layers": lambda keys: keys.needed("block_count"),
    "num_attention_heads": lambda keys: keys.whole("attention.head_count"),
    "num_key_value_heads": lambda keys: keys.whole("attention.head_count_kv"),
    "max_position_embeddings": lambda keys: keys.whole("context_length"),
    "tie_word_embeddings": lambda keys: "output.weight" not in keys.names,
}


def _ends(keys: Keys) -> dict[str, Any]:
    """The tokens that begin, end and pad a text."""
    spelled = {"bos": "bos", "eos": "eos", "pad": "padding"}
    found = {name: keys.metadata.whole(f"tokenizer.ggml.{spelling}_token_id") for name, spelling in spelled.items()}
    return {f"{name}_token_id": number for name, number in found.items()}
