"""Tiny models that cut out what one points at: SAM whole, and its image encoder alone."""

from __future__ import annotations

from typing import Any

from tests.families.tiny import Tiny

SAM_VISION: dict[str, Any] = {
    "hidden_size": 20, "output_channels": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "image_size": 20,
    "patch_size": 4, "window_size": 2, "global_attn_indexes": [1], "num_pos_feats": 8, "mlp_ratio": 1.5,
}  # fmt: skip
PROMPTS: dict[str, Any] = {"hidden_size": 16, "image_size": 20, "patch_size": 4, "mask_input_channels": 12}
DECODER: dict[str, Any] = {
    "hidden_size": 16, "mlp_dim": 22, "num_attention_heads": 2, "iou_head_hidden_dim": 18, "num_hidden_layers": 2,
}  # fmt: skip
SAM: dict[str, Any] = {
    "vision_config": SAM_VISION, "prompt_encoder_config": PROMPTS, "mask_decoder_config": DECODER,
}  # fmt: skip
TINY_SAM = [
    Tiny("sam", "Sam", SAM, "Model"),
    Tiny("sam-other-depths-untied", "Sam", SAM | {
        "tie_word_embeddings": False,
        "mask_decoder_config": DECODER | {
            "num_multimask_outputs": 2, "iou_head_depth": 4, "attention_downsample_rate": 4, "hidden_act": "gelu",
            "layer_norm_eps": 1e-2,
        },
        "vision_config": SAM_VISION | {"use_rel_pos": False, "mlp_dim": 26},
    }, "Model"),
    Tiny("sam_vision_model", "SamVision", SAM_VISION, "Model"),
]  # fmt: skip
