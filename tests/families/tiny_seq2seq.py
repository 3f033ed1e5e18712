"""Tiny encoder-decoders, with each of their heads."""

from __future__ import annotations

from typing import Any

from tests.families.tiny import Tiny

T5: dict[str, Any] = {
    "vocab_size": 101, "d_model": 24, "d_kv": 5, "d_ff": 52, "num_layers": 3, "num_heads": 6,
    "relative_attention_num_buckets": 8, "relative_attention_max_distance": 16, "pad_token_id": 0, "eos_token_id": 2,
    "decoder_start_token_id": 0,
}  # fmt: skip
GENERATES = "ForConditionalGeneration"
TINY_SEQ2SEQ = [
    Tiny("t5", "T5", T5, GENERATES),
    Tiny("t5-gated-shallow-decoder", "T5", T5 | {
        "feed_forward_proj": "gated-gelu", "num_decoder_layers": 2, "tie_word_embeddings": False,
    }, GENERATES),
    Tiny("t5-base", "T5", T5, "Model"),
    Tiny("t5-encoder", "T5", T5, "EncoderModel"),
    Tiny("t5-classifier", "T5", T5 | {"num_labels": 5}, "ForSequenceClassification"),
    Tiny("t5-tagger", "T5", T5 | {"num_labels": 5}, "ForTokenClassification"),
    Tiny("t5-answers", "T5", T5, "ForQuestionAnswering"),
    Tiny("mt5", "MT5", T5, GENERATES),
    Tiny("mt5-encoder", "MT5", T5, "EncoderModel"),
    Tiny("umt5", "UMT5", T5, GENERATES),
    Tiny("umt5-encoder", "UMT5", T5, "EncoderModel"),
]  # fmt: skip
