"""Tiny models that hear, with each of their heads."""

from __future__ import annotations

from typing import Any

from tests.families.tiny import Tiny

WHISPER: dict[str, Any] = {
    "vocab_size": 101, "num_mel_bins": 10, "encoder_layers": 3, "encoder_attention_heads": 6, "decoder_layers": 2,
    "decoder_attention_heads": 3, "decoder_ffn_dim": 46, "encoder_ffn_dim": 52, "d_model": 24,
    "max_source_positions": 17, "max_target_positions": 37, "decoder_start_token_id": 5, "pad_token_id": 1,
    "bos_token_id": 1, "eos_token_id": 2, "begin_suppress_tokens": None, "classifier_proj_size": 14,
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
]  # fmt: skip
