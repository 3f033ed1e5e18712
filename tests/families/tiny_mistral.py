"""Tiny models around Pixtral's, InternVL's and Kimi's vision towers."""

from __future__ import annotations

from typing import Any

from tests.families.tiny import DEEPSEEK, LLAMA, Tiny

# Heads of 8: of two axes each turns two pairs, so that every frequency shows.
PIXTRAL: dict[str, Any] = {
    "model_type": "pixtral", "hidden_size": 16, "intermediate_size": 22, "num_hidden_layers": 3,
    "num_attention_heads": 2, "image_size": 32, "patch_size": 4,
}  # fmt: skip
# The vision model's heads divide its width; the square of patches is 4 × 4, of which 2 × 2 are merged.
INTERN: dict[str, Any] = {
    "model_type": "internvl_vision", "hidden_size": 20, "intermediate_size": 26, "num_hidden_layers": 3,
    "num_attention_heads": 4, "image_size": [28, 28], "patch_size": [7, 7],
}  # fmt: skip
MOON: dict[str, Any] = {
    "model_type": "kimi_k25_vision", "hidden_size": 16, "intermediate_size": 22, "num_hidden_layers": 3,
    "num_attention_heads": 2, "patch_size": 4, "pos_emb_height": 6, "pos_emb_width": 6,
}  # fmt: skip
MISTRAL = LLAMA | {"model_type": "mistral", "head_dim": 8, "sliding_window": None}
QWEN2 = LLAMA | {"model_type": "qwen2"}
WHOLE = "ForConditionalGeneration"
IDS = {"image_token_id": 95, "video_token_id": 96, "vision_start_token_id": 97, "vision_end_token_id": 98}

TINY_MISTRAL = [
    Tiny("pixtral", "PixtralVision", PIXTRAL, "Model"),
    Tiny("mistral3", "Mistral3", {
        "text_config": MISTRAL, "vision_config": PIXTRAL, "image_token_index": 95, "tie_word_embeddings": False,
    }, WHOLE),
    Tiny("mistral3-tied-biases", "Mistral3", {
        "text_config": MISTRAL, "vision_config": PIXTRAL, "image_token_index": 95, "multimodal_projector_bias": True,
        "vision_feature_layer": -2, "spatial_merge_size": 3, "tie_word_embeddings": True,
    }, WHOLE),
    Tiny("llava-pixtral", "Llava", {
        "text_config": MISTRAL, "vision_config": PIXTRAL, "image_token_index": 95,
        "vision_feature_select_strategy": "full", "vision_feature_layer": -1,
    }, WHOLE),
    Tiny("lighton_ocr", "LightOnOcr", {
        "text_config": LLAMA | {"model_type": "qwen3", "head_dim": 8}, "vision_config": PIXTRAL, "image_token_id": 95,
        "tie_word_embeddings": False,
    }, WHOLE),
    Tiny("internvl_vision", "InternVLVision", INTERN, "Model"),
    Tiny("internvl_vision-norms", "InternVLVision", INTERN | {
        "attention_bias": True, "use_qk_norm": True, "norm_type": "rms_norm", "use_mean_pooling": False,
    }, "Model"),
    Tiny("internvl", "InternVL", {
        "text_config": QWEN2, "vision_config": INTERN | {"attention_bias": True}, "image_token_id": 95,
        "image_seq_length": 4, "tie_word_embeddings": False,
    }, WHOLE),
    Tiny("internvl-tied-norms", "InternVL", {
        "text_config": QWEN2 | {"model_type": "qwen3", "head_dim": 10},
        "vision_config": INTERN | {"use_qk_norm": True, "norm_type": "rms_norm", "use_mean_pooling": False},
        "image_token_id": 95, "image_seq_length": 4, "tie_word_embeddings": True,
    }, WHOLE),
    Tiny("kimi_k25", "Kimi_K25", IDS | {
        "text_config": DEEPSEEK | {"model_type": "deepseek_v3"}, "vision_config": MOON, "projection_hidden_size": 16,
        "tie_word_embeddings": False,
    }, WHOLE),
]  # fmt: skip
