"""Tiny vision-language models over SigLIP's encoders: Aya Vision, Command A Vision, LFM2-VL, and SigLIP 2 alone."""

from __future__ import annotations

from typing import Any

from tests.families.tiny import LLAMA, Tiny

LAYERS: dict[str, Any] = {
    "hidden_size": 20, "intermediate_size": 44, "num_hidden_layers": 2, "num_attention_heads": 4, "num_channels": 3,
}  # fmt: skip
SIGLIP: dict[str, Any] = LAYERS | {
    "model_type": "siglip_vision_model",
    "image_size": 28,
    "patch_size": 7,
    "vision_use_head": False,
}
SIGLIP2 = LAYERS | {"patch_size": 7, "num_patches": 16}
FLEXIBLE = SIGLIP2 | {"model_type": "siglip2_vision_model", "vision_use_head": False}
WORDS: dict[str, Any] = {
    "vocab_size": 101, "hidden_size": 24, "intermediate_size": 52, "num_hidden_layers": 3, "num_attention_heads": 6,
    "max_position_embeddings": 31, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0,
}  # fmt: skip
COHERE2 = LLAMA | {"model_type": "cohere2", "sliding_window": 5}
LFM2 = LLAMA | {
    "model_type": "lfm2", "layer_types": ["conv", "full_attention", "conv"], "block_auto_adjust_ff_dim": False,
}  # fmt: skip
WHOLE = "ForConditionalGeneration"
TINY_COHERE_EYES = [
    Tiny("aya_vision", "AyaVision", {
        "text_config": COHERE2, "vision_config": SIGLIP, "image_token_index": 99, "adapter_layer_norm_eps": 1e-3,
    }, WHOLE),
    Tiny("aya_vision-untied", "AyaVision", {
        "text_config": COHERE2, "vision_config": SIGLIP, "image_token_index": 99, "tie_word_embeddings": False,
        "vision_feature_layer": -2, "downsample_factor": 4, "alignment_intermediate_size": 36,
    }, WHOLE),
    Tiny("cohere2_vision", "Cohere2Vision", {
        "text_config": COHERE2, "vision_config": SIGLIP, "image_token_id": 99, "alignment_intermediate_size": 36,
    }, WHOLE),
    Tiny("cohere2_vision-untied", "Cohere2Vision", {
        "text_config": LLAMA | {"model_type": "llama"}, "vision_config": SIGLIP, "image_token_id": 99,
        "alignment_intermediate_size": 38, "tie_word_embeddings": False, "downsample_factor": 1,
    }, WHOLE),
    Tiny("siglip2_vision_model", "Siglip2Vision", SIGLIP2, "Model"),
    Tiny("siglip2", "Siglip2", {"text_config": WORDS | {"projection_size": 20}, "vision_config": SIGLIP2}, "Model"),
    Tiny("siglip2-classes", "Siglip2", {"vision_config": SIGLIP2, "num_labels": 5}, "ForImageClassification"),
    Tiny("siglip2_text_model", "Siglip2Text", WORDS, "Model"),
    Tiny("lfm2_vl", "Lfm2Vl", {
        "text_config": LFM2, "vision_config": FLEXIBLE, "image_token_id": 99, "projector_hidden_size": 30,
    }, WHOLE),
    Tiny("lfm2_vl-untied-plain", "Lfm2Vl", {
        "text_config": LFM2, "vision_config": FLEXIBLE, "image_token_id": 99, "projector_hidden_size": 30,
        "projector_bias": False, "projector_use_layernorm": False, "projector_hidden_act": "relu",
        "tie_word_embeddings": False,
    }, WHOLE),
]  # fmt: skip
