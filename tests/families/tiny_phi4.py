"""Tiny models that see and hear, Phi-4's: an even and an odd number of patches a side."""

from __future__ import annotations

from typing import Any

from tests.families.tiny import LLAMA, Tiny

VISION: dict[str, Any] = {
    "hidden_size": 16, "intermediate_size": 26, "num_hidden_layers": 3, "num_attention_heads": 2, "image_size": 28,
    "patch_size": 4, "crop_size": 28, "image_token_id": 95,
}  # fmt: skip
AUDIO: dict[str, Any] = {
    "hidden_size": 12, "intermediate_size": 18, "num_blocks": 2, "num_attention_heads": 2, "ext_pw_out_channel": 12,
    "depthwise_separable_out_channel": 12, "input_size": 20, "nemo_conv_channels": 10, "audio_token_id": 96,
    "bias_max_distance": 7,
}  # fmt: skip
PHI4: dict[str, Any] = LLAMA | {"vision_config": VISION, "audio_config": AUDIO}
TINY_PHI4 = [
    Tiny("phi4_multimodal", "Phi4Multimodal", PHI4),
    Tiny("phi4_multimodal-even-tied", "Phi4Multimodal", PHI4 | {
        "tie_word_embeddings": True, "vision_config": VISION | {"image_size": 24, "crop_size": 24, "feature_layer": -1},
        "audio_config": AUDIO | {"time_reduction": 4, "depthwise_multiplier": 2, "kernel_size": 4, "head_dim": 4},
    }),
]  # fmt: skip
