"""Tiny models of Meta's that see: Llama 4's tiles among the tokens, Llama 3.2's beside them."""

from __future__ import annotations

from typing import Any

from tests.families.tiny import LLAMA, Tiny

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
CROSSED: dict[str, Any] = LLAMA | {
    "hidden_size": 48, "num_hidden_layers": 4, "cross_attention_layers": [1, 3],
}  # fmt: skip
TILES: dict[str, Any] = {
    "hidden_size": 16, "attention_heads": 2, "intermediate_size": 26, "num_hidden_layers": 3, "num_global_layers": 2,
    "image_size": 12, "patch_size": 4, "intermediate_layers_indices": [0, 2], "vision_output_dim": 48,
}  # fmt: skip
TINY_LLAMA_VISION = [
    Tiny("llama4", "Llama4", {"text_config": TEXT, "vision_config": VISION, "image_token_index": 95}, WHOLE),
    Tiny("llama4-unmerged-tied", "Llama4", {
        "text_config": TEXT | {"tie_word_embeddings": True}, "image_token_index": 95,
        "vision_config": VISION | {"pixel_shuffle_ratio": 1.0, "intermediate_size": 16},
    }, WHOLE),
    Tiny("mllama", "Mllama", {"text_config": CROSSED, "vision_config": TILES, "image_token_index": 103}, WHOLE),
    Tiny("mllama-other-tiles", "Mllama", {
        "text_config": CROSSED | {"num_key_value_heads": 6, "cross_attention_layers": [0]}, "image_token_index": 103,
        "vision_config": TILES | {
            "max_num_tiles": 2, "supported_aspect_ratios": [[1, 1], [1, 2], [2, 1]], "vision_output_dim": 32,
            "intermediate_layers_indices": [-2],
        },
    }, WHOLE),
    Tiny("mllama_text_model", "MllamaText", CROSSED, "Model"),
]  # fmt: skip
