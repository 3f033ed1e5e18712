"""Tiny Gemmas that see."""

from __future__ import annotations

from tests.families.tiny import LLAMA, Tiny

SIGLIP = {
    "model_type": "siglip_vision_model", "hidden_size": 20, "intermediate_size": 44, "num_hidden_layers": 2,
    "num_attention_heads": 4, "image_size": 28, "patch_size": 7, "vision_use_head": False,
}  # fmt: skip
WHOLE = "ForConditionalGeneration"
GEMMA = LLAMA | {"head_dim": 10, "model_type": "gemma"}
GEMMA2 = LLAMA | {"head_dim": 10, "model_type": "gemma2", "query_pre_attn_scalar": 7, "sliding_window": 64}
GEMMA3 = LLAMA | {
    "head_dim": 10, "model_type": "gemma3_text", "query_pre_attn_scalar": 7, "sliding_window": 5,
    "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
}  # fmt: skip
# The image token lies beyond the vocabulary, as Gemma 3 4B's does at the published sizes of its first config.
MARKS = {"image_token_index": 103, "boi_token_index": 96, "eoi_token_index": 97}
TINY_GEMMA_EYES = [
    Tiny("gemma3", "Gemma3", MARKS | {
        "text_config": GEMMA3, "vision_config": SIGLIP, "mm_tokens_per_image": 4,
    }, WHOLE),
    Tiny("gemma3-odd-squares", "Gemma3", MARKS | {
        "text_config": GEMMA3, "vision_config": SIGLIP | {"image_size": 35}, "mm_tokens_per_image": 4,
        "image_token_index": 95, "tie_word_embeddings": False,
    }, WHOLE),
    Tiny("shieldgemma2", "ShieldGemma2", MARKS | {
        "text_config": GEMMA3, "vision_config": SIGLIP, "mm_tokens_per_image": 4,
    }, "ForImageClassification"),
    Tiny("paligemma", "PaliGemma", {
        "text_config": GEMMA, "vision_config": SIGLIP, "projection_dim": 24, "image_token_index": 103,
    }, WHOLE),
    Tiny("paligemma-2", "PaliGemma", {
        "text_config": GEMMA2, "vision_config": SIGLIP | {"vision_use_head": True}, "projection_dim": 24,
        "image_token_index": 99,
    }, WHOLE),
]  # fmt: skip
