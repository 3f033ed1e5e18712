"""Tiny models of Meta's that see: Llama 4's tiles among the tokens."""

from __future__ import annotations

from typing import Any

from tests.families.tiny import LLAMA, Tiny

ENDS: dict[str, Any] = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
TEXT: dict[str, Any] = LLAMA | {
    "hidden_size": 48, "head_dim": 8, "intermediate_size": 26, "intermediate_size_mlp": 52, "num_local_experts": 3,
    "interleave_moe_layer_step": 2, "num_hidden_layers": 4, "attention_chunk_size": 64,
}  # fmt: skip
VISION: dict[str, Any] = {
    "hidden_size": 16, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 2, "image_size": 24,
    "patch_size": 4, "projector_input_dim": 28, "projector_output_dim": 28, "vision_output_dim": 28,
    "rope_parameters": {"rope_type": "default", "rope_theta": 100.0},
}  # fmt: skip
WHOLE = "ForConditionalGeneration"
TINY_LLAMA_VISION = [
    Tiny("llama4", "Llama4", {"text_config": TEXT, "vision_config": VISION, "image_token_index": 95}, WHOLE),
    Tiny("llama4-unmerged-tied", "Llama4", {
        "text_config": TEXT | {"tie_word_embeddings": True}, "image_token_index": 95,
        "vision_config": VISION | {"pixel_shuffle_ratio": 1.0, "intermediate_size": 16},
    }, WHOLE),
]  # fmt: skip
