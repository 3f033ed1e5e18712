"""Tiny omni models: thinkers that see and hear, alone and beside what they speak with."""

from __future__ import annotations

from typing import Any

from tests.families.tiny import Tiny


def axes(*sections: int) -> dict[str, Any]:
    """Rotations whose pairs are shared out among three axes."""
    return {"rope_type": "default", "rope_theta": 1e4, "mrope_section": list(sections)}


TEXT: dict[str, Any] = {
    "vocab_size": 101, "hidden_size": 48, "intermediate_size": 52, "num_hidden_layers": 2, "num_attention_heads": 3,
    "num_key_value_heads": 1, "rope_parameters": axes(2, 3, 3), "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0,
}  # fmt: skip
VISION: dict[str, Any] = {
    "depth": 2, "hidden_size": 32, "out_hidden_size": 48, "intermediate_size": 44, "num_heads": 4, "patch_size": 4,
}  # fmt: skip
AUDIO: dict[str, Any] = {
    "num_mel_bins": 18, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 26, "d_model": 20,
    "max_source_positions": 30, "n_window": 5, "output_dim": 48,
}  # fmt: skip
MARKS = {"vision_start_token_id": 97, "vision_end_token_id": 98, "audio_start_token_id": 92, "audio_end_token_id": 93}
THINKER_25: dict[str, Any] = MARKS | {
    "text_config": TEXT, "vision_config": VISION | {"window_size": 16, "fullatt_block_indexes": [1]},
    "audio_config": AUDIO, "audio_token_index": 91, "image_token_index": 95, "video_token_index": 96,
}  # fmt: skip
TALKER_25 = {
    "vocab_size": 61, "embedding_size": 48, "hidden_size": 36, "intermediate_size": 40, "num_hidden_layers": 2,
    "num_attention_heads": 3, "num_key_value_heads": 1, "head_dim": 12, "rope_parameters": axes(1, 2, 3),
}  # fmt: skip
WAVES_25 = {
    "dit_config": {
        "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "emb_dim": 10, "head_dim": 14,
        "num_embeds": 21, "mel_dim": 8, "enc_emb_dim": 7, "enc_dim": 6, "enc_channels": [9, 8, 12, 24],
        "enc_kernel_sizes": [5, 3, 2, 1], "enc_dilations": [1, 2, 3, 1], "enc_attention_channels": 5,
        "enc_se_channels": 4,
    },
    "bigvgan_config": {
        "mel_dim": 8, "upsample_initial_channel": 16, "upsample_rates": [3, 2], "upsample_kernel_sizes": [7, 4],
    },
}  # fmt: skip
THINKER_3: dict[str, Any] = MARKS | {
    "text_config": TEXT | {
        "head_dim": 16, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 14,
        "decoder_sparse_step": 1,
    },
    "vision_config": VISION | {"depth": 3, "num_position_embeddings": 16, "deepstack_visual_indexes": [0, 1]},
    # The class counts on chunks of 100 frames.
    "audio_config": AUDIO | {
        "n_window": 50, "n_window_infer": 200, "conv_chunksize": 2, "downsample_hidden_size": 6,
        "activation_function": "relu",
    },
    "audio_token_id": 91, "image_token_id": 95, "video_token_id": 96,
}  # fmt: skip
TALKER_3 = {
    "text_config": {
        "vocab_size": 61, "hidden_size": 36, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 3,
        "num_key_value_heads": 1, "head_dim": 12, "num_experts": 3, "num_experts_per_tok": 2,
        "moe_intermediate_size": 15, "shared_expert_intermediate_size": 16, "rope_parameters": axes(1, 2, 3),
    },
    "code_predictor_config": {
        "vocab_size": 31, "hidden_size": 18, "intermediate_size": 20, "num_hidden_layers": 2, "num_attention_heads": 3,
        "num_key_value_heads": 1, "head_dim": 6, "num_code_groups": 4,
    },
    "thinker_hidden_size": 48, "num_code_groups": 4, "spatial_merge_size": 2,
}  # fmt: skip
WAVES_3 = {
    "codebook_size": 25, "hidden_size": 20, "num_attention_heads": 2, "num_key_value_heads": 1,
    "intermediate_size": 22, "num_hidden_layers": 2, "num_quantizers": 3, "decoder_dim": 32, "upsample_rates": [3, 2],
    "upsampling_ratios": [2],
}  # fmt: skip
WHOLE_25 = {"thinker_config": THINKER_25, "talker_config": TALKER_25, "token2wav_config": WAVES_25}
WHOLE_3 = {"thinker_config": THINKER_3, "talker_config": TALKER_3, "code2wav_config": WAVES_3}
TINY_OMNI = [
    Tiny("qwen2_5_omni", "Qwen2_5Omni", WHOLE_25, "ForConditionalGeneration"),
    Tiny("qwen2_5_omni-silent", "Qwen2_5Omni", WHOLE_25 | {"enable_audio_output": False}, "ForConditionalGeneration"),
    Tiny("qwen2_5_omni_thinker", "Qwen2_5OmniThinker", THINKER_25, "ForConditionalGeneration"),
    Tiny("qwen3_omni_moe", "Qwen3OmniMoe", WHOLE_3, "ForConditionalGeneration"),
    Tiny("qwen3_omni_moe-silent", "Qwen3OmniMoe", WHOLE_3 | {"enable_audio_output": False}, "ForConditionalGeneration"),
    Tiny("qwen3_omni_moe_thinker", "Qwen3OmniMoeThinker", THINKER_3 | {
        "text_config": THINKER_3["text_config"] | {"mlp_only_layers": [0], "norm_topk_prob": False},
    }, "ForConditionalGeneration"),
]  # fmt: skip
