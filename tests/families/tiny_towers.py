"""Tiny vision towers alone: ViT, DeiT, BEiT, data2vec, DINOv2 with registers and without, DINOv3."""

from __future__ import annotations

from typing import Any

from tests.families.tiny import Tiny

VIT: dict[str, Any] = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 12, "patch_size": 4,
}  # fmt: skip
WIDE: dict[str, Any] = VIT | {"intermediate_size": 26}
TINY_TOWERS = [
    Tiny("vit", "ViT", WIDE, "Model"),
    Tiny("vit-no-bias-pooler", "ViT", WIDE | {
        "qkv_bias": False, "pooler_output_size": 9, "pooler_act": "relu", "layer_norm_eps": 1e-2,
    }, "Model"),
    Tiny("vit-classes", "ViT", WIDE | {"num_labels": 5}, "ForImageClassification"),
    Tiny("vit-pixels", "ViT", WIDE | {"encoder_stride": 4, "num_channels": 2}, "ForMaskedImageModeling"),
    Tiny("deit", "DeiT", WIDE | {"qkv_bias": False, "pooler_act": "gelu"}, "Model"),
    Tiny("deit-classes", "DeiT", WIDE | {"num_labels": 5}, "ForImageClassification"),
    Tiny("deit-taught", "DeiT", WIDE | {"num_labels": 5}, "ForImageClassificationWithTeacher"),
    Tiny("deit-pixels", "DeiT", WIDE | {"encoder_stride": 4}, "ForMaskedImageModeling"),
    Tiny("beit", "Beit", WIDE | {"use_relative_position_bias": True}, "Model"),
    Tiny("beit-plain", "Beit", WIDE | {"use_mean_pooling": False, "layer_scale_init_value": 0.0}, "Model"),
    Tiny("beit-classes", "Beit", WIDE | {
        "num_labels": 5, "use_relative_position_bias": True, "use_shared_relative_position_bias": True,
    }, "ForImageClassification"),
    Tiny("beit-words", "Beit", WIDE | {
        "vocab_size": 11, "use_shared_relative_position_bias": True, "use_mean_pooling": False, "use_mask_token": True,
        "use_absolute_position_embeddings": True,
    }, "ForMaskedImageModeling"),
    Tiny("data2vec-vision", "Data2VecVision", WIDE | {
        "use_shared_relative_position_bias": True, "use_mask_token": True,
    }, "Model"),
    Tiny("data2vec-vision-classes", "Data2VecVision", WIDE | {
        "num_labels": 5, "use_relative_position_bias": True, "use_mean_pooling": False,
    }, "ForImageClassification"),
    Tiny("dinov2", "Dinov2", VIT | {"mlp_ratio": 3}, "Model"),
    Tiny("dinov2-gated-unmasked", "Dinov2", VIT | {"use_swiglu_ffn": True, "use_mask_token": False}, "Model"),
    Tiny("dinov2-classes", "Dinov2", VIT | {"num_labels": 5}, "ForImageClassification"),
    Tiny("dinov2_with_registers", "Dinov2WithRegisters", VIT | {"num_register_tokens": 3}, "Model"),
    Tiny("dinov2_with_registers-classes-gated", "Dinov2WithRegisters", VIT | {
        "num_register_tokens": 3, "num_labels": 5, "use_swiglu_ffn": True, "qkv_bias": False,
    }, "ForImageClassification"),
    Tiny("dinov3_vit", "DINOv3ViT", WIDE | {"num_register_tokens": 3}, "Model"),
    Tiny("dinov3_vit-gated-biases", "DINOv3ViT", WIDE | {
        "num_register_tokens": 1, "use_gated_mlp": True, "key_bias": True, "mlp_bias": False, "proj_bias": False,
        "hidden_act": "silu", "rope_theta": 30.0,
    }, "Model"),
]  # fmt: skip
