"""Tiny vision-language models of tiles: Idefics 2 and 3, SmolVLM."""

from __future__ import annotations

from typing import Any

from tests.families.tiny import LLAMA, Tiny

# Positions are a table of 4 × 4.
TOWER: dict[str, Any] = {
    "hidden_size": 20, "intermediate_size": 44, "num_hidden_layers": 2, "num_attention_heads": 4, "num_channels": 3,
    "image_size": 28, "patch_size": 7,
}  # fmt: skip
TEXT = LLAMA | {"model_type": "llama"}
WHOLE = "ForConditionalGeneration"
PERCEIVER = {
    "resampler_n_latents": 5, "resampler_depth": 2, "resampler_n_heads": 4, "resampler_head_dim": 7,
    "num_key_value_heads": 2, "hidden_size": 24,
}  # fmt: skip
FLAMINGO: dict[str, Any] = {
    "vocab_size": 101, "additional_vocab_size": 3, "hidden_size": 24, "intermediate_size": 52, "num_hidden_layers": 3,
    "num_attention_heads": 6, "cross_layer_interval": 2,
    "vision_config": {
        "embed_dim": 20, "image_size": 28, "intermediate_size": 44, "patch_size": 7, "num_hidden_layers": 2,
        "num_attention_heads": 4,
    },
}  # fmt: skip
RESAMPLER = {
    "use_resampler": True, "resampler_n_latents": 5, "resampler_depth": 2, "resampler_n_heads": 4,
    "resampler_head_dim": 7, "qk_layer_norms_perceiver": True,
}  # fmt: skip
TINY_IDEFICS = [
    Tiny("idefics", "Idefics", FLAMINGO, "ForVisionText2Text"),
    Tiny("idefics-resampled", "Idefics", FLAMINGO | {
        "use_resampler": True, "perceiver_config": RESAMPLER, "qk_layer_norms": True, "alpha_type": "vector",
        "cross_layer_interval": 1,
    }, "ForVisionText2Text"),
    Tiny("idefics-tied", "Idefics", FLAMINGO | {"tie_word_embeddings": True}, "ForVisionText2Text"),
    Tiny("idefics2", "Idefics2", {
        "text_config": TEXT | {"model_type": "mistral"}, "vision_config": TOWER, "perceiver_config": PERCEIVER,
        "image_token_id": 99,
    }, WHOLE),
    Tiny("idefics2-tied", "Idefics2", {
        "text_config": TEXT | {"model_type": "mistral", "rms_norm_eps": 1e-3}, "vision_config": TOWER,
        "perceiver_config": PERCEIVER | {"hidden_size": 32, "hidden_act": "gelu"}, "image_token_id": 99,
        "tie_word_embeddings": True,
    }, WHOLE),
    Tiny("idefics3", "Idefics3", {"text_config": TEXT, "vision_config": TOWER, "image_token_id": 99}, WHOLE),
    Tiny("idefics3-tied", "Idefics3", {
        "text_config": TEXT, "vision_config": TOWER, "image_token_id": 99, "scale_factor": 4,
        "tie_word_embeddings": True,
    }, WHOLE),
    Tiny("smolvlm", "SmolVLM", {"text_config": TEXT, "vision_config": TOWER, "image_token_id": 99}, WHOLE),
]  # fmt: skip
