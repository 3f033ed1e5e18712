"""Tiny models of Fuyu and of Persimmon, its language model."""

from __future__ import annotations

from tests.families.tiny import ENDS, Tiny

# Heads of 8, half of which is two pairs.
PERSIMMON = {
    "vocab_size": 101, "hidden_size": 24, "intermediate_size": 52, "num_hidden_layers": 3, "num_attention_heads": 3,
} | ENDS  # fmt: skip
NESTED = PERSIMMON | {"model_type": "persimmon"}
FUYU = {"patch_size": 4, "image_token_id": 99}
TINY_FUYU = [
    Tiny("persimmon", "Persimmon", PERSIMMON),
    Tiny("persimmon-plain-tied", "Persimmon", PERSIMMON | {
        "hidden_size": 96, "qk_layernorm": False, "tie_word_embeddings": True, "hidden_act": "gelu",
        "partial_rotary_factor": 0.25,
    }),
    Tiny("persimmon-base", "Persimmon", PERSIMMON, "Model"),
    Tiny("fuyu", "Fuyu", FUYU | {"text_config": NESTED}),
    Tiny("fuyu-tied", "Fuyu", FUYU | {"text_config": NESTED, "tie_word_embeddings": True}),
]  # fmt: skip
