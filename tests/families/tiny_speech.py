"""Tiny models that hear, with each of their heads."""

from __future__ import annotations

from typing import Any

from tests.families.tiny import LLAMA, Tiny

WHISPER: dict[str, Any] = {
    "vocab_size": 101, "num_mel_bins": 10, "encoder_layers": 3, "encoder_attention_heads": 6, "decoder_layers": 2,
    "decoder_attention_heads": 3, "decoder_ffn_dim": 46, "encoder_ffn_dim": 52, "d_model": 24,
    "max_source_positions": 17, "max_target_positions": 37, "decoder_start_token_id": 5, "pad_token_id": 1,
    "bos_token_id": 1, "eos_token_id": 2, "begin_suppress_tokens": None, "classifier_proj_size": 14,
}  # fmt: skip
SPEECH_TO_TEXT: dict[str, Any] = {
    "vocab_size": 101, "input_feat_per_channel": 5, "input_channels": 2, "encoder_layers": 3,
    "encoder_attention_heads": 6, "decoder_layers": 2, "decoder_attention_heads": 3, "decoder_ffn_dim": 46,
    "encoder_ffn_dim": 52, "d_model": 24, "max_source_positions": 17, "max_target_positions": 37,
    "decoder_start_token_id": 5, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "conv_channels": 18,
    "conv_kernel_sizes": [5, 3],
}  # fmt: skip
QWEN2_AUDIO: dict[str, Any] = {
    "audio_config": {
        "model_type": "qwen2_audio_encoder", "num_mel_bins": 10, "encoder_layers": 2, "encoder_attention_heads": 4,
        "encoder_ffn_dim": 44, "d_model": 20, "max_source_positions": 17,
    },
    "text_config": LLAMA | {"model_type": "qwen2"},
    "audio_token_index": 99,
}  # fmt: skip
VOXTRAL: dict[str, Any] = {
    "audio_config": {
        "model_type": "voxtral_encoder", "num_mel_bins": 10, "num_hidden_layers": 2, "num_attention_heads": 5,
        "intermediate_size": 80, "hidden_size": 20, "max_source_positions": 16,
    },
    "text_config": LLAMA | {"model_type": "llama", "head_dim": 8},
    "audio_token_id": 99,
}  # fmt: skip
GENERATES = "ForConditionalGeneration"
TINY_SPEECH = [
    Tiny("whisper", "Whisper", WHISPER, GENERATES),
    Tiny("whisper-relu", "Whisper", WHISPER | {"activation_function": "relu", "scale_embedding": True}, GENERATES),
    Tiny("whisper-untied", "Whisper", WHISPER | {"tie_word_embeddings": False}, GENERATES),
    Tiny("whisper-base", "Whisper", WHISPER, "Model"),
    Tiny("whisper-decoder", "Whisper", WHISPER, "ForCausalLM"),
    Tiny("whisper-classifier", "Whisper", WHISPER | {"num_labels": 5}, "ForAudioClassification"),
    Tiny("whisper-classifier-of-all-layers", "Whisper", WHISPER | {
        "num_labels": 5, "use_weighted_layer_sum": True,
    }, "ForAudioClassification"),
    Tiny("speech_to_text", "Speech2Text", SPEECH_TO_TEXT, GENERATES),
    Tiny("speech_to_text-three-convolutions", "Speech2Text", SPEECH_TO_TEXT | {
        "num_conv_layers": 3, "conv_kernel_sizes": [3, 4, 5], "scale_embedding": False, "activation_function": "gelu",
    }, GENERATES),
    Tiny("speech_to_text-first-token-pads", "Speech2Text", SPEECH_TO_TEXT | {"pad_token_id": 0}, GENERATES),
    Tiny("speech_to_text-base", "Speech2Text", SPEECH_TO_TEXT, "Model"),
]  # fmt: skip
TINY_HEARING = [
    Tiny("qwen2_audio", "Qwen2Audio", QWEN2_AUDIO, GENERATES),
    Tiny("qwen2_audio-tied-text", "Qwen2Audio", QWEN2_AUDIO | {
        "text_config": QWEN2_AUDIO["text_config"] | {"tie_word_embeddings": True},
    }, GENERATES),
    Tiny("qwen2_audio-base", "Qwen2Audio", QWEN2_AUDIO, "Model"),
    Tiny("voxtral", "Voxtral", VOXTRAL, GENERATES),
    Tiny("voxtral-silu", "Voxtral", VOXTRAL | {"projector_hidden_act": "silu"}, GENERATES),
    Tiny("voxtral-base", "Voxtral", VOXTRAL, "Model"),
]  # fmt: skip
