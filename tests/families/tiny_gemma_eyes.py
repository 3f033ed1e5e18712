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
GEMMA4 = LLAMA | {
    "model_type": "gemma4_text", "head_dim": 8, "global_head_dim": 12, "hidden_size_per_layer_input": 7,
    "vocab_size_per_layer_input": 101, "sliding_window": 5, "use_bidirectional_attention": "vision",
    "layer_types": ["sliding_attention", "full_attention", "full_attention"],
}  # fmt: skip
MIXED = GEMMA4 | {
    "hidden_size_per_layer_input": 0, "enable_moe_block": True, "num_experts": 5, "top_k_experts": 2,
    "moe_intermediate_size": 14, "pad_token_id": 4,
}  # fmt: skip
TOWER = {
    "hidden_size": 20, "intermediate_size": 44, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "patch_size": 2, "position_embedding_size": 11, "pooling_kernel_size": 2,
}  # fmt: skip
AUDIO = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "subsampling_conv_channels": [12, 4],
    "output_proj_dims": 18,
}  # fmt: skip
IDS = {
    "image_token_id": 95, "video_token_id": 96, "audio_token_id": 97, "boi_token_id": 98, "eoi_token_id": 99,
}  # fmt: skip
UNIFIED = {key: value for key, value in GEMMA4.items() if "per_layer" not in key} | {
    "model_type": "gemma4_unified_text",
    "pad_token_id": 4,
}
PATCHES = {"patch_size": 2, "pooling_kernel_size": 2, "mm_embed_dim": 22, "mm_posemb_size": 11, "output_proj_dims": 22}
TINY_GEMMA_EYES = [
    Tiny("gemma4", "Gemma4", IDS | {"text_config": GEMMA4, "vision_config": TOWER, "audio_config": AUDIO}, WHOLE),
    Tiny("gemma4-clipped", "Gemma4", IDS | {
        "text_config": GEMMA4 | {"use_bidirectional_attention": None, "pad_token_id": 4},
        "vision_config": TOWER | {"use_clipped_linears": True, "standardize": True},
        "audio_config": AUDIO | {"use_clipped_linears": False}, "tie_word_embeddings": False,
    }, WHOLE),
    Tiny("gemma4-mixture", "Gemma4", IDS | {"text_config": MIXED, "vision_config": TOWER}, WHOLE),
    Tiny("gemma4-blind", "Gemma4", IDS | {"text_config": GEMMA4}, WHOLE),
    Tiny("gemma4_unified", "Gemma4Unified", IDS | {
        "text_config": UNIFIED, "vision_config": PATCHES, "audio_config": {"audio_embed_dim": 17},
    }, WHOLE),
    Tiny("gemma4_unified-silent", "Gemma4Unified", IDS | {
        "text_config": UNIFIED | {"use_bidirectional_attention": None}, "vision_config": PATCHES,
        "tie_word_embeddings": False,
    }, WHOLE),
    Tiny("gemma4_unified_text", "Gemma4UnifiedText", UNIFIED),
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
    Tiny("shieldgemma2-untied", "ShieldGemma2", MARKS | {
        "text_config": GEMMA3 | {"tie_word_embeddings": False}, "vision_config": SIGLIP, "mm_tokens_per_image": 4,
    }, "ForImageClassification"),
    Tiny("paligemma", "PaliGemma", {
        "text_config": GEMMA, "vision_config": SIGLIP, "projection_dim": 24, "image_token_index": 103,
    }, WHOLE),
    Tiny("paligemma-2", "PaliGemma", {
        "text_config": GEMMA2, "vision_config": SIGLIP | {"vision_use_head": True}, "projection_dim": 24,
        "image_token_index": 99,
    }, WHOLE),
]  # fmt: skip
