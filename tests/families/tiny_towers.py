"""Tiny vision towers alone: ViT, DeiT, BEiT, data2vec, DINOv2 with registers and without, DINOv3, Swin, ConvNeXt."""

from __future__ import annotations

from typing import Any

from tests.families.tiny import Tiny

VIT: dict[str, Any] = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 12, "patch_size": 4,
}  # fmt: skip
WIDE: dict[str, Any] = VIT | {"intermediate_size": 26}
# An odd number of patches, windows that do not divide it.
SWIN: dict[str, Any] = {
    "embed_dim": 8, "depths": [2, 1, 1], "num_heads": [2, 4, 2], "window_size": 3, "image_size": 20, "patch_size": 2,
}  # fmt: skip
CONVNEXT: dict[str, Any] = {
    "num_stages": 3, "hidden_sizes": [8, 10, 14], "depths": [1, 2, 1], "image_size": 30, "patch_size": 3,
}  # fmt: skip
TINY_TOWERS = [
    Tiny("vit", "ViT", WIDE, "Model"),
    Tiny("vit-no-bias-pooler", "ViT", WIDE | {
        "qkv_bias": False, "pooler_output_size": 9, "pooler_act": "relu", "layer_norm_eps": 1e-2,
    }, "Model"),
    Tiny("vit-classes", "ViT", WIDE | {"num_labels": 5}, "ForImageClassification"),
    Tiny("vit-pixels", "ViT", WIDE | {"encoder_stride": 4, "num_channels": 2}, "ForMaskedImageModeling"),
    Tiny("vit_mae", "ViTMAE", WIDE | {"mask_ratio": 0.4}, "Model"),
    Tiny("vit_mae-pixels", "ViTMAE", WIDE | {
        "mask_ratio": 0.6, "decoder_hidden_size": 12, "decoder_num_hidden_layers": 1, "decoder_num_attention_heads": 2,
        "decoder_intermediate_size": 14, "num_channels": 2,
    }, "ForPreTraining"),
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
    Tiny("swin", "Swin", SWIN | {"mlp_ratio": 2.3}, "Model"),
    Tiny("swin-places-no-bias", "Swin", SWIN | {"use_absolute_embeddings": True, "qkv_bias": False}, "Model"),
    Tiny("swin-classes", "Swin", SWIN | {"num_labels": 5, "layer_norm_eps": 1e-2}, "ForImageClassification"),
    Tiny("swin-pixels", "Swin", SWIN | {"encoder_stride": 8, "image_size": 24}, "ForMaskedImageModeling"),
    Tiny("convnext", "ConvNext", CONVNEXT, "Model"),
    Tiny("convnext-classes", "ConvNext", CONVNEXT | {
        "num_labels": 5, "layer_scale_init_value": 0.0, "hidden_act": "relu",
    }, "ForImageClassification"),
    Tiny("convnextv2", "ConvNextV2", CONVNEXT | {"layer_norm_eps": 1e-2}, "Model"),
    Tiny("convnextv2-classes", "ConvNextV2", CONVNEXT | {"num_labels": 5}, "ForImageClassification"),
    Tiny("dinov3_vit", "DINOv3ViT", WIDE | {"num_register_tokens": 3}, "Model"),
    Tiny("dinov3_vit-gated-biases", "DINOv3ViT", WIDE | {
        "num_register_tokens": 1, "use_gated_mlp": True, "key_bias": True, "mlp_bias": False, "proj_bias": False,
        "hidden_act": "silu", "rope_theta": 30.0,
    }, "Model"),
]  # fmt: skip
