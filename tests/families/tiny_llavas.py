"""Tiny models of LLaVA's siblings: several feature layers, tiles, two towers."""

from __future__ import annotations

from typing import Any

from tests.families.tiny import LLAMA, VISION, Tiny

WHOLE = "ForConditionalGeneration"
IDS = {"image_token_index": 99}
FILMS = IDS | {"video_token_index": 100}
DEEP = VISION | {"num_hidden_layers": 3}
TEXT = LLAMA | {"model_type": "llama"}
PARTS: dict[str, Any] = {"text_config": TEXT, "vision_config": DEEP}
# Of images of 28 pixels: landscape, portrait, and two larger ones.
PINPOINTS = {"image_grid_pinpoints": [[28, 56], [56, 28], [56, 56], [84, 28], [28, 84]]}
SIGLIP = {
    "model_type": "siglip_vision_model", "hidden_size": 20, "intermediate_size": 44, "num_hidden_layers": 2,
    "num_attention_heads": 4, "image_size": 28, "patch_size": 7, "vision_use_head": False,
}  # fmt: skip
QWEN2 = LLAMA | {"model_type": "qwen2"}
TINY_LLAVAS = [
    Tiny("llava-several-layers", "Llava", PARTS | IDS | {"vision_feature_layer": [-1, 1, -3]}, WHOLE),
    Tiny("llava-siglip", "Llava", IDS | {
        "text_config": TEXT, "vision_config": SIGLIP, "vision_feature_select_strategy": "full",
    }, WHOLE),
    Tiny("vipllava", "VipLlava", PARTS | IDS | {"vision_feature_layer": [-2, -1, 1]}, WHOLE),
    Tiny("vipllava-one-layer", "VipLlava", PARTS | IDS | {
        "vision_feature_layer": -2, "tie_word_embeddings": True, "projector_hidden_act": "relu",
    }, WHOLE),
    Tiny("llava_next", "LlavaNext", PARTS | IDS | PINPOINTS, WHOLE),
    Tiny("llava_next-tied-layers", "LlavaNext", PARTS | IDS | PINPOINTS | {
        "vision_feature_layer": [-2, 1], "multimodal_projector_bias": False, "tie_word_embeddings": True,
    }, WHOLE),
    Tiny("llava_onevision", "LlavaOnevision", FILMS | PINPOINTS | {
        "text_config": QWEN2, "vision_config": SIGLIP, "vision_aspect_ratio": "anyres_max_2",
    }, WHOLE),
    Tiny("llava_onevision-clip-tied", "LlavaOnevision", FILMS | PINPOINTS | {
        "text_config": QWEN2 | {"tie_word_embeddings": True}, "vision_config": DEEP,
        "vision_feature_select_strategy": "default", "vision_feature_layer": [-2, 1],
    }, WHOLE),
    Tiny("video_llava", "VideoLlava", PARTS | FILMS, WHOLE),
    Tiny("video_llava-layers-whole", "VideoLlava", PARTS | FILMS | {
        "vision_feature_layer": [-2, 1], "vision_feature_select_strategy": "full",
    }, WHOLE),
]  # fmt: skip
