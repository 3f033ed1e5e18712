"""Tiny GLM models that see and PaddleOCR-VL, and their language models alone."""

from __future__ import annotations

from typing import Any

from tests.families.tiny import LLAMA, Tiny

IDS = {"image_token_id": 95, "video_token_id": 96, "image_start_token_id": 97, "image_end_token_id": 98}
TURNING: dict[str, Any] = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 1, 1]}
HALF: dict[str, Any] = {"rope_parameters": TURNING | {"partial_rotary_factor": 0.5}}
TEXT: dict[str, Any] = LLAMA | HALF | {"hidden_size": 96}
MIXED: dict[str, Any] = TEXT | {
    "moe_intermediate_size": 14, "n_routed_experts": 6, "n_shared_experts": 1, "num_experts_per_tok": 2,
    "first_k_dense_replace": 1,
}  # fmt: skip
TOWER: dict[str, Any] = {
    "depth": 2, "hidden_size": 16, "num_heads": 2, "image_size": 20, "patch_size": 4, "out_hidden_size": 96,
    "intermediate_size": 44,
}  # fmt: skip
WHOLE = "ForConditionalGeneration"
PADDLE_IDS = {"image_token_id": 95, "video_token_id": 96, "vision_start_token_id": 97, "vision_end_token_id": 98}
PADDLE: dict[str, Any] = LLAMA | {"head_dim": 8, "rope_parameters": TURNING}
RASTER: dict[str, Any] = {
    "hidden_size": 16, "intermediate_size": 26, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 20,
    "patch_size": 4,
}  # fmt: skip
TINY_GLM_VISION = [
    Tiny("glm4v", "Glm4v", IDS | {"text_config": TEXT, "vision_config": TOWER}, WHOLE),
    Tiny("glm4v-biases-tied", "Glm4v", IDS | {
        "text_config": LLAMA | {"hidden_size": 48, "rope_parameters": TURNING}, "tie_word_embeddings": True,
        "vision_config": TOWER | {"out_hidden_size": 48, "attention_bias": True},
    }, WHOLE),
    Tiny("glm4v_moe", "Glm4vMoe", IDS | {"text_config": MIXED, "vision_config": TOWER}, WHOLE),
    Tiny("glm4v_moe-tied-no-bias", "Glm4vMoe", IDS | {
        "text_config": MIXED | {"attention_bias": False, "n_group": 2, "topk_group": 1}, "tie_word_embeddings": True,
        "vision_config": TOWER,
    }, WHOLE),
    Tiny("glm46v", "Glm46V", IDS | {
        "text_config": TEXT | {"model_type": "glm4v_text"}, "vision_config": TOWER | {"model_type": "glm4v_vision"},
    }, WHOLE),
    Tiny("glm46v-mixed", "Glm46V", IDS | {
        "text_config": MIXED | {"model_type": "glm4v_moe_text"},
        "vision_config": TOWER | {"model_type": "glm4v_moe_vision"},
    }, WHOLE),
    Tiny("glm_ocr", "GlmOcr", IDS | {"text_config": TEXT, "vision_config": TOWER}, WHOLE),
    Tiny("glm_ocr-no-bias-tied", "GlmOcr", IDS | {
        "text_config": TEXT, "vision_config": TOWER | {"attention_bias": False}, "tie_word_embeddings": True,
    }, WHOLE),
    Tiny("paddleocr_vl", "PaddleOCRVL", PADDLE_IDS | {
        "text_config": PADDLE, "vision_config": RASTER, "tie_word_embeddings": False,
    }, WHOLE),
    Tiny("paddleocr_vl-biases-tied", "PaddleOCRVL", PADDLE_IDS | {
        "text_config": PADDLE | {"use_bias": True}, "vision_config": RASTER | {"image_size": 12},
    }, WHOLE),
    Tiny("paddleocr_vl_text", "PaddleOCRText", PADDLE, "Model"),
    Tiny("glm4v_text", "Glm4vText", TEXT, "Model"),
    Tiny("glm4v_moe_text", "Glm4vMoeText", MIXED, "Model"),
    Tiny("glm_ocr_text", "GlmOcrText", TEXT | {"head_dim": 16}, "Model"),
]  # fmt: skip
