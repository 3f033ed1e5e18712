"""Tiny CLIPs and SigLIPs, whole and their text encoders alone."""

from __future__ import annotations

from tests.families.tiny import Tiny

TEXT = {
    "vocab_size": 101, "hidden_size": 24, "intermediate_size": 52, "num_hidden_layers": 3, "num_attention_heads": 6,
    "max_position_embeddings": 31, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0,
}  # fmt: skip
VISION = {
    "hidden_size": 20, "intermediate_size": 44, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": 28,
    "patch_size": 7,
}  # fmt: skip
TINY_CONTRAST = [
    Tiny("clip", "CLIP", {
        "text_config": TEXT | {"eos_token_id": 99}, "vision_config": VISION, "projection_dim": 17,
    }, "Model"),
    Tiny("clip-old-end", "CLIP", {"text_config": TEXT, "vision_config": VISION, "projection_dim": 17}, "Model"),
    Tiny("siglip", "Siglip", {"text_config": TEXT | {"projection_size": 20}, "vision_config": VISION}, "Model"),
    Tiny("siglip-same-width", "Siglip", {"text_config": TEXT, "vision_config": VISION | {"hidden_size": 24}}, "Model"),
    Tiny("clip_text_model", "CLIPText", TEXT, "Model"),
    Tiny("clip_text_model-projected", "CLIPText", TEXT | {"projection_dim": 17}, "ModelWithProjection"),
    Tiny("clip_vision_model-projected", "CLIPVision", VISION | {"projection_dim": 17}, "ModelWithProjection"),
    Tiny("clip-classes", "CLIP", {"vision_config": VISION, "num_labels": 5}, "ForImageClassification"),
    Tiny("siglip-classes", "Siglip", {"vision_config": VISION, "num_labels": 5}, "ForImageClassification"),
    Tiny("siglip_text_model", "SiglipText", TEXT | {"projection_size": 20}, "Model"),
]  # fmt: skip
