"""Tiny CLAPs: a text and a sound compared, with close-ups and without."""

from __future__ import annotations

from typing import Any

from tests.families.tiny import Tiny

TEXT: dict[str, Any] = {
    "vocab_size": 101, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 38,
    "max_position_embeddings": 37,
}  # fmt: skip
AUDIO: dict[str, Any] = {
    "window_size": 4, "num_mel_bins": 8, "spec_size": 32, "depths": [2, 1], "num_attention_heads": [2, 4],
    "patch_embeds_hidden_size": 16, "hidden_size": 32, "mlp_ratio": 3.0,
}  # fmt: skip
WHOLE: dict[str, Any] = {"text_config": TEXT, "audio_config": AUDIO, "projection_dim": 21}
HALVES = [
    Tiny("clap_text_model", "ClapText", TEXT, "Model"),
    Tiny("clap_text_model-projected", "ClapText", TEXT | {"projection_dim": 21}, "ModelWithProjection"),
    Tiny("clap_audio_model", "ClapAudio", AUDIO, "Model"),
    Tiny("clap_audio_model-projected", "ClapAudio", AUDIO | {
        "projection_dim": 21, "enable_fusion": True, "projection_hidden_act": "gelu",
    }, "ModelWithProjection"),
]  # fmt: skip
TINY_CLAP = [
    Tiny("clap", "Clap", WHOLE, "Model"),
    Tiny("clap-fused", "Clap", WHOLE | {
        "audio_config": AUDIO | {"enable_fusion": True, "layer_norm_eps": 1e-2}, "projection_hidden_act": "gelu",
    }, "Model"),
    Tiny("clap-overlapping-plain", "Clap", WHOLE | {
        "audio_config": AUDIO | {"patch_size": 6, "enable_patch_layer_norm": False, "qkv_bias": False},
        "text_config": TEXT | {"type_vocab_size": 3, "pad_token_id": 2},
    }, "Model"),
]  # fmt: skip
