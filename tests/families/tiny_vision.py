"""Tiny vision-language models whose images have any size, and their language models alone."""

from __future__ import annotations

from typing import Any

from tests.families.tiny import LLAMA, VISION, Tiny

IDS = {"image_token_id": 95, "video_token_id": 96, "vision_start_token_id": 97, "vision_end_token_id": 98}
TOWER = {"depth": 4, "num_heads": 2, "in_channels": 3, "patch_size": 4, "spatial_merge_size": 2}
QWEN2_TOWER = TOWER | {"embed_dim": 16, "hidden_size": 48, "mlp_ratio": 3}
WINDOWS = TOWER | {
    "hidden_size": 16, "out_hidden_size": 48, "intermediate_size": 22, "window_size": 16,
    "fullatt_block_indexes": [1, 3],
}  # fmt: skip
LEARNED = TOWER | {
    "hidden_size": 16, "out_hidden_size": 48, "intermediate_size": 22, "num_position_embeddings": 25,
    "deepstack_visual_indexes": [0, 2],
}  # fmt: skip
TEXT: dict[str, Any] = LLAMA | {"hidden_size": 48, "bos_token_id": 1, "eos_token_id": 2}


def turning(*sections: int, **others: Any) -> dict[str, Any]:
    """A rotation by three axes."""
    return {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": list(sections), **others}}


HEADS = TEXT | {"head_dim": 8} | turning(2, 1, 1)
EXPERTS = {"num_experts": 5, "num_experts_per_tok": 2, "moe_intermediate_size": 14}
DELTA = TEXT | turning(2, 1, 1, partial_rotary_factor=0.5, mrope_interleaved=True) | {
    "head_dim": 16, "layer_types": ["linear_attention", "full_attention", "linear_attention"],
    "linear_key_head_dim": 6, "linear_value_head_dim": 10, "linear_num_key_heads": 2, "linear_num_value_heads": 4,
}  # fmt: skip
SHARED = EXPERTS | {"shared_expert_intermediate_size": 18}
PLAIN = {key: value for key, value in LEARNED.items() if key != "deepstack_visual_indexes"}
WHOLE = "ForConditionalGeneration"
KINDS = ["sliding_attention", "full_attention", "sliding_attention"]
SIGLIP = {key: value for key, value in VISION.items() if key != "model_type"}
TINY_VISION = [
    Tiny("siglip_vision_model", "SiglipVision", SIGLIP, "Model"),
    Tiny("siglip_vision_model-headless", "SiglipVision", SIGLIP | {"vision_use_head": False}, "Model"),
    Tiny("qwen2_vl", "Qwen2VL", IDS | {"text_config": TEXT | turning(1, 1, 2), "vision_config": QWEN2_TOWER}, WHOLE),
    Tiny("qwen2_vl-tied", "Qwen2VL", IDS | {
        "text_config": TEXT | turning(1, 1, 2), "vision_config": QWEN2_TOWER, "tie_word_embeddings": True,
    }, WHOLE),
    Tiny("qwen2_5_vl", "Qwen2_5_VL", IDS | {
        "text_config": TEXT | turning(1, 1, 2), "vision_config": WINDOWS,
    }, WHOLE),
    Tiny("exaone4_5", "Exaone4_5_", {
        "image_token_id": 95, "video_token_id": 96, "text_config": TEXT | {
            "model_type": "exaone4", "sliding_window": 5, "layer_types": KINDS,
        }, "vision_config": WINDOWS | {"num_key_value_heads": 2},
    }, WHOLE),
    Tiny("qwen3_vl", "Qwen3VL", IDS | {"text_config": HEADS, "vision_config": LEARNED}, WHOLE),
    Tiny("qwen3_vl-tied", "Qwen3VL", IDS | {
        "text_config": HEADS, "vision_config": LEARNED | {"deepstack_visual_indexes": [3]}, "tie_word_embeddings": True,
    }, WHOLE),
    Tiny("qwen3_vl_moe", "Qwen3VLMoe", IDS | {"text_config": HEADS | EXPERTS, "vision_config": LEARNED}, WHOLE),
    Tiny("qwen3_5", "Qwen3_5", IDS | {"text_config": DELTA, "vision_config": PLAIN}, WHOLE),
    Tiny("qwen3_5_moe", "Qwen3_5Moe", IDS | {"text_config": DELTA | SHARED, "vision_config": PLAIN}, WHOLE),
    Tiny("qwen2_vl_text", "Qwen2VLText", TEXT | turning(1, 1, 2), "Model"),
    Tiny("qwen2_5_vl_text", "Qwen2_5_VLText", TEXT | turning(1, 1, 2), "Model"),
    Tiny("qwen3_vl_text", "Qwen3VLText", HEADS, "Model"),
    Tiny("qwen3_vl_moe_text", "Qwen3VLMoeText", HEADS | EXPERTS, "Model"),
]  # fmt: skip
