"""Tiny models of Aria, ERNIE 4.5 VL and HunyuanOCR, and their language models alone."""

from __future__ import annotations

from typing import Any

from tests.families.tiny import LLAMA, Tiny

WHOLE = "ForConditionalGeneration"
ARIA_TEXT: dict[str, Any] = LLAMA | {
    "num_hidden_layers": 2, "intermediate_size": 14, "moe_num_experts": 5, "moe_topk": 2, "moe_num_shared_experts": 3,
}  # fmt: skip
# Positions are a table of 4 × 4; a crop has 16 or 4 patches.
ARIA: dict[str, Any] = {
    "vision_config": {
        "model_type": "idefics3_vision", "hidden_size": 20, "intermediate_size": 44, "num_hidden_layers": 2,
        "num_attention_heads": 4, "image_size": 28, "patch_size": 7,
    },
    "text_config": ARIA_TEXT, "projector_patch_to_query_dict": {"16": 5, "4": 3}, "image_token_index": 99,
}  # fmt: skip
ERNIE_IDS = {"image_token_id": 95, "video_token_id": 96, "image_start_token_id": 97, "image_end_token_id": 98}
ERNIE_TEXT: dict[str, Any] = LLAMA | {
    "num_hidden_layers": 2, "hidden_size": 48, "num_attention_heads": 4, "moe_intermediate_size": [14, 10],
    "moe_num_experts": 5, "moe_k": 2, "moe_num_shared_experts": 2,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 2, 2]},
}  # fmt: skip
ERNIE_TOWER: dict[str, Any] = {
    "depth": 1, "hidden_size": 16, "num_heads": 2, "patch_size": 4, "intermediate_size": 32,
}  # fmt: skip
HUNYUAN_IDS = {"image_token_id": 95, "im_start_id": 97, "im_end_id": 98, "im_newline_id": 96}
HUNYUAN_TEXT: dict[str, Any] = LLAMA | {
    "num_hidden_layers": 2, "head_dim": 16, "rope_parameters": {
        "rope_type": "dynamic", "rope_theta": 1e4, "alpha": 50.0, "factor": 1.0, "mrope_section": [2, 1, 2, 3],
    },
}  # fmt: skip
HUNYUAN_TOWER: dict[str, Any] = {
    "hidden_size": 16, "intermediate_size": 26, "num_hidden_layers": 1, "num_attention_heads": 2, "patch_size": 4,
    "max_image_size": 20,
}  # fmt: skip
TINY_MIXED_EYES = [
    Tiny("aria", "Aria", ARIA, WHOLE),
    Tiny("aria-tied", "Aria", ARIA | {
        "text_config": ARIA_TEXT | {"attention_bias": True, "mlp_bias": True, "hidden_act": "gelu"},
        "vision_feature_layer": -2, "tie_word_embeddings": True,
    }, WHOLE),
    Tiny("aria_text", "AriaText", ARIA_TEXT),
    Tiny("ernie4_5_vl_moe", "Ernie4_5_VLMoe", ERNIE_IDS | {
        "text_config": ERNIE_TEXT, "vision_config": ERNIE_TOWER,
    }, WHOLE),
    Tiny("ernie4_5_vl_moe-untied", "Ernie4_5_VLMoe", ERNIE_IDS | {
        "text_config": ERNIE_TEXT | {
            "moe_num_shared_experts": 0, "use_bias": True, "mlp_layer_types": ["sparse", "dense"],
        },
        "vision_config": ERNIE_TOWER, "tie_word_embeddings": False,
    }, WHOLE),
    Tiny("ernie4_5_vl_moe_text", "Ernie4_5_VLMoeText", ERNIE_TEXT, "Model"),
    Tiny("hunyuan_vl", "HunYuanVL", HUNYUAN_IDS | {"text_config": HUNYUAN_TEXT, "vision_config": HUNYUAN_TOWER}, WHOLE),
    Tiny("hunyuan_vl-untied", "HunYuanVL", HUNYUAN_IDS | {
        "text_config": HUNYUAN_TEXT | {
            "tie_word_embeddings": False, "attention_bias": True,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 3, 3]},
        },
        "vision_config": HUNYUAN_TOWER, "tie_word_embeddings": False,
    }, WHOLE),
    Tiny("hunyuan_vl_text", "HunYuanVLText", HUNYUAN_TEXT, "Model"),
]  # fmt: skip
