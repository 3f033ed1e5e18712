"""Tiny vision-language models with towers of their own: DeepSeek-VL, GOT-OCR 2, Ovis 2."""

from __future__ import annotations

from typing import Any

from tests.families.tiny import LLAMA, Tiny
from tests.families.tiny_cohere_eyes import SIGLIP

TEXT = LLAMA | {"model_type": "llama"}
QWEN2 = LLAMA | {"model_type": "qwen2"}
WHOLE = "ForConditionalGeneration"
# Of 5 × 5 patches windows of 2 × 2, which the grid does not fill.
SAM: dict[str, Any] = {
    "hidden_size": 20, "output_channels": 6, "num_hidden_layers": 3, "num_attention_heads": 4, "image_size": 35,
    "patch_size": 7, "window_size": 2, "global_attn_indexes": [1], "mlp_dim": 44,
}  # fmt: skip
AIM: dict[str, Any] = {
    "hidden_size": 20, "intermediate_size": 44, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": 28,
    "patch_size": 7, "vocab_size": 30, "num_visual_indicator_tokens": 3,
}  # fmt: skip
OVIS: dict[str, Any] = {
    "text_config": QWEN2, "hidden_size": 24, "vocab_size": 101, "image_token_id": 99,
    "visual_indicator_token_ids": [90, 91, 92],
}  # fmt: skip
TINY_DEEPSEEK_EYES = [
    Tiny("deepseek_vl", "DeepseekVL", {"text_config": TEXT, "vision_config": SIGLIP, "image_token_id": 99}, WHOLE),
    Tiny("deepseek_vl-untied", "DeepseekVL", {
        "text_config": TEXT, "vision_config": SIGLIP | {"vision_use_head": True}, "image_token_id": 99,
        "tie_word_embeddings": False,
    }, WHOLE),
    Tiny("deepseek_vl_hybrid", "DeepseekVLHybrid", {
        "text_config": TEXT, "vision_config": SIGLIP, "image_token_id": 99,
        "high_res_vision_config": SAM | {"model_type": "sam_vision_model"},
    }, WHOLE),
    Tiny("got_ocr2", "GotOcr2", {"text_config": QWEN2, "vision_config": SAM, "image_token_index": 99}, WHOLE),
    Tiny("got_ocr2-untied-plain", "GotOcr2", {
        "text_config": QWEN2, "image_token_index": 99, "tie_word_embeddings": False,
        "vision_config": SAM | {"qkv_bias": False, "use_rel_pos": False, "use_abs_pos": False, "window_size": 3},
    }, WHOLE),
    Tiny("ovis2", "Ovis2", OVIS | {"vision_config": AIM}, WHOLE),
    Tiny("ovis2-untied-strides", "Ovis2", OVIS | {
        "vision_config": AIM | {"hidden_stride": 2, "qkv_bias": True, "mlp_bias": True,
        "tokenize_function": "st_argmax"}, "tie_word_embeddings": False,
    }, WHOLE),
]  # fmt: skip
