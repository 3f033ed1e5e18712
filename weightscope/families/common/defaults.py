"""Defaults of config classes that several families share, or begin with."""

from __future__ import annotations

from typing import Any

from weightscope.config import Nullable

# What every decoder's class has.
DECODER: dict[str, Any] = {"is_causal": True, "tie_word_embeddings": False}
# The keys of every class with a rotation, whose theta and scaling come in either of two dialects.
ROPE: dict[str, Any] = {
    "max_position_embeddings": 2048, "rope_theta": 10000.0, "rope_scaling": Nullable(dict),
    "rope_parameters": Nullable(dict),
    # No field of most classes, but transformers' scalings prefer it to their own of any config that has it.
    "original_max_position_embeddings": Nullable(int),
}  # fmt: skip
ROTARY = DECODER | ROPE
LLAMA = ROTARY | {
    "vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": Nullable(int), "head_dim": Nullable(int), "hidden_act": "silu",
    "rms_norm_eps": 1e-6, "attention_bias": False, "mlp_bias": False,
}  # fmt: skip
MISTRAL = LLAMA | {
    "intermediate_size": 14336, "num_key_value_heads": Nullable(int, 8), "max_position_embeddings": 131072,
    "sliding_window": Nullable(int, 4096),
}  # fmt: skip
QWEN2 = LLAMA | {
    "vocab_size": 151936, "intermediate_size": 22016, "num_key_value_heads": Nullable(int, 32),
    "max_position_embeddings": 32768, "use_sliding_window": False, "sliding_window": Nullable(int, 4096),
    "max_window_layers": Nullable(int, 28), "layer_types": Nullable(list),
}  # fmt: skip
COHERE = ROTARY | {
    "vocab_size": 256000, "hidden_size": 8192, "intermediate_size": 22528, "logit_scale": 0.0625,
    "num_hidden_layers": 40, "num_attention_heads": 64, "num_key_value_heads": Nullable(int), "hidden_act": "silu",
    "max_position_embeddings": 8192, "layer_norm_eps": 1e-5, "tie_word_embeddings": True, "rope_theta": 500000.0,
    "attention_bias": False, "use_qk_norm": False,
    # No field of the class, but its attention and rotation ask the config for it.
    "head_dim": Nullable(int),
}  # fmt: skip
GRANITE = LLAMA | {
    "embedding_multiplier": 1.0, "logits_scaling": 1.0, "residual_multiplier": 1.0,
    # Null: the root of the head size, as elsewhere.
    "attention_multiplier": Nullable(float, 1.0),
}  # fmt: skip
