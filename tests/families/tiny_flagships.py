"""Tiny models of 2026's flagships that see: MiniMax-M3, Molmo 2, Step 3.7, MiniCPM-V 4.6."""

from __future__ import annotations

from typing import Any

from tests.families.tiny import LLAMA, YARN, Tiny
from tests.families.tiny_hybrids import QWEN3_5
from tests.families.tiny_mixtures import MINIMAX_M3, STEP3P5

M3_TEXT: dict[str, Any] = MINIMAX_M3 | {
    "num_hidden_layers": 2, "layer_types": ["full_attention", "minimax_m3_sparse"],
    "mlp_layer_types": ["dense", "sparse"],
}  # fmt: skip
WHOLE = "ForConditionalGeneration"
# Heads of 22: three pairs for each axis, and four elements that stand still.
M3_TOWER: dict[str, Any] = {
    "hidden_size": 44, "intermediate_size": 38, "num_hidden_layers": 2, "num_attention_heads": 2, "patch_size": 4,
}  # fmt: skip
M3: dict[str, Any] = {"image_token_index": 95, "video_token_index": 96, "projector_hidden_size": 30}
MOLMO_TEXT: dict[str, Any] = LLAMA | {
    "num_hidden_layers": 2, "head_dim": 8, "additional_vocab_size": 11, "num_attention_heads": 4,
}  # fmt: skip
MOLMO_TOWER: dict[str, Any] = {
    "hidden_size": 20, "intermediate_size": 38, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 4, "head_dim": 6, "image_size": [20, 20], "patch_size": 4,
}  # fmt: skip
ADAPTER: dict[str, Any] = {
    "vision_feature_layer": [2, 0], "hidden_size": 20, "num_attention_heads": 4, "num_key_value_heads": 2,
    "head_dim": 6, "intermediate_size": 34, "text_hidden_size": 24,
}  # fmt: skip
# Those that write an image lie beyond the vocabulary that the head scores.
MOLMO: dict[str, Any] = {
    "image_start_token_id": 101, "image_end_token_id": 102, "image_patch_id": 103, "low_res_image_start_token_id": 105,
    "frame_start_token_id": 106, "frame_end_token_id": 107,
}  # fmt: skip
STEP_TEXT: dict[str, Any] = STEP3P5 | {
    "num_hidden_layers": 2, "layer_types": ["full_attention", "sliding_attention"],
    "mlp_layer_types": ["dense", "sparse"],
}  # fmt: skip
STEP_TOWER: dict[str, Any] = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 20, "patch_size": 4,
    "mlp_ratio": 2.6,
}  # fmt: skip
CPM: dict[str, Any] = {"image_token_id": 95, "video_token_id": 96, "insert_layer_id": 1}
CPM_TOWER: dict[str, Any] = {
    "hidden_size": 16, "intermediate_size": 26, "num_hidden_layers": 3, "num_attention_heads": 2, "image_size": 20,
    "patch_size": 4,
}  # fmt: skip
CPM_TEXT: dict[str, Any] = QWEN3_5 | {
    "model_type": "qwen3_5_text", "num_hidden_layers": 2, "layer_types": ["linear_attention", "full_attention"],
}  # fmt: skip
TINY_FLAGSHIPS = [
    Tiny("minimax_m3_vl", "MiniMaxM3VL", M3 | {"text_config": M3_TEXT, "vision_config": M3_TOWER}, WHOLE),
    Tiny("minimax_m3_vl-tied-turning", "MiniMaxM3VL", M3 | {
        "text_config": M3_TEXT | {"tie_word_embeddings": True}, "vision_config": M3_TOWER | {
            "spatial_merge_size": 1, "rope_parameters": {"rope_type": "axial", "rope_theta": 100.0},
            "hidden_act": "quick_gelu",
        },
    }, WHOLE),
    Tiny("molmo2", "Molmo2", MOLMO | {
        "text_config": MOLMO_TEXT, "vision_config": MOLMO_TOWER, "adapter_config": ADAPTER,
    }, WHOLE),
    Tiny("molmo2-olmo-biases", "Molmo2", MOLMO | {
        "text_config": MOLMO_TEXT | {
            "qk_norm_type": "olmo", "norm_after": True, "attention_bias": True, "rope_scaling_layers": [1],
            "rope_parameters": YARN,
        },
        "vision_config": MOLMO_TOWER | {"attention_bias": False, "num_key_value_heads": 2},
        "adapter_config": ADAPTER | {"vision_feature_layer": [-1], "attention_bias": False, "mlp_bias": True},
    }, WHOLE),
    Tiny("molmo2_text", "Molmo2Text", MOLMO_TEXT, "Model"),
    Tiny("step3p7", "Step3p7", {"text_config": STEP_TEXT, "vision_config": STEP_TOWER, "image_token_id": 95}, WHOLE),
    Tiny("step3p7-tied-bias", "Step3p7", {
        "text_config": STEP_TEXT, "image_token_id": 95, "projector_bias": True, "tie_word_embeddings": True,
        "vision_config": STEP_TOWER | {
            "rope_parameters": {"rope_type": "axial", "rope_theta": 100.0}, "hidden_act": "gelu",
        },
    }, WHOLE),
    Tiny("minicpmv4_6", "MiniCPMV4_6", CPM | {"text_config": CPM_TEXT, "vision_config": CPM_TOWER}, WHOLE),
    Tiny("minicpmv4_6-fine-tied", "MiniCPMV4_6", CPM | {
        "text_config": CPM_TEXT, "vision_config": CPM_TOWER, "downsample_mode": "4x", "merger_times": 2,
        "tie_word_embeddings": True,
    }, WHOLE),
]  # fmt: skip
