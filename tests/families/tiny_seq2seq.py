"""Tiny encoder-decoders, with each of their heads."""

from __future__ import annotations

from typing import Any

from tests.families.nllb_experts import mend
from tests.families.tiny import Tiny

mend()

T5: dict[str, Any] = {
    "vocab_size": 101, "d_model": 24, "d_kv": 5, "d_ff": 52, "num_layers": 3, "num_heads": 6,
    "relative_attention_num_buckets": 8, "relative_attention_max_distance": 16, "pad_token_id": 0, "eos_token_id": 2,
    "decoder_start_token_id": 0,
}  # fmt: skip
BART: dict[str, Any] = {
    "vocab_size": 101, "d_model": 24, "encoder_layers": 3, "encoder_ffn_dim": 52, "encoder_attention_heads": 6,
    "decoder_layers": 2, "decoder_ffn_dim": 46, "decoder_attention_heads": 3, "max_position_embeddings": 37,
    "pad_token_id": 1, "eos_token_id": 2, "bos_token_id": 0, "decoder_start_token_id": 0,
}  # fmt: skip
NLLB: dict[str, Any] = BART | {"num_experts": 3, "encoder_sparse_step": 3, "decoder_sparse_step": 2}
GENERATES, TRANSLATES = "ForConditionalGeneration", "MTModel"
# Marian between two vocabularies.
TWO_TABLES: dict[str, Any] = {"share_encoder_decoder_embeddings": False, "decoder_vocab_size": 91}
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
    Tiny("bart", "Bart", BART, GENERATES),
    Tiny("bart-scaled", "Bart", BART | {"scale_embedding": True, "activation_function": "relu"}, GENERATES),
    Tiny("bart-untied", "Bart", BART | {"tie_word_embeddings": False}, GENERATES),
    Tiny("bart-base", "Bart", BART, "Model"),
    Tiny("bart-classifier", "Bart", BART | {"num_labels": 5}, "ForSequenceClassification"),
    Tiny("bart-answers", "Bart", BART, "ForQuestionAnswering"),
    Tiny("mbart", "MBart", BART, GENERATES),
    Tiny("mbart-base", "MBart", BART, "Model"),
    Tiny("mbart-classifier", "MBart", BART | {"num_labels": 5}, "ForSequenceClassification"),
    Tiny("mbart-answers", "MBart", BART, "ForQuestionAnswering"),
    Tiny("marian", "Marian", BART | {"activation_function": "swish", "scale_embedding": True}, TRANSLATES),
    Tiny("marian-two-tables", "Marian", BART | TWO_TABLES, TRANSLATES),
    Tiny("marian-three-tables", "Marian", BART | TWO_TABLES | {"tie_word_embeddings": False}, TRANSLATES),
    Tiny("marian-base", "Marian", BART, "Model"),
    Tiny("marian-base-two-tables", "Marian", BART | TWO_TABLES, "Model"),
    Tiny("marian-odd-width", "Marian", BART | {"d_model": 15, "encoder_attention_heads": 5}, TRANSLATES),
    Tiny("pegasus", "Pegasus", BART | {"activation_function": "relu", "scale_embedding": True}, GENERATES),
    Tiny("pegasus-base", "Pegasus", BART, "Model"),
    Tiny("m2m_100", "M2M100", BART, GENERATES),
    Tiny("m2m_100-odd-width", "M2M100", BART | {"d_model": 15, "encoder_attention_heads": 5}, GENERATES),
    Tiny("m2m_100-untied", "M2M100", BART | {"tie_word_embeddings": False}, GENERATES),
    Tiny("m2m_100-base", "M2M100", BART | {"scale_embedding": False}, "Model"),
    Tiny("nllb-moe", "NllbMoe", NLLB, GENERATES),
    Tiny("nllb-moe-half-sparse-biased", "NllbMoe", NLLB | {
        "encoder_sparse_step": 2, "decoder_sparse_step": 0, "router_bias": True, "moe_token_dropout": 0.0,
    }, GENERATES),
    Tiny("nllb-moe-base", "NllbMoe", NLLB, "Model"),
    Tiny("blenderbot", "Blenderbot", BART, GENERATES),
    Tiny("blenderbot-base", "Blenderbot", BART | {"scale_embedding": True}, "Model"),
    Tiny("blenderbot-small", "BlenderbotSmall", BART, GENERATES),
    Tiny("blenderbot-small-decoder", "BlenderbotSmall", BART, "ForCausalLM"),
    Tiny("blenderbot-small-base", "BlenderbotSmall", BART, "Model"),
    *(Tiny(f"{name}-decoder", kind, BART, "ForCausalLM") for name, kind in {
        "bart": "Bart", "mbart": "MBart", "marian": "Marian", "pegasus": "Pegasus", "blenderbot": "Blenderbot",
    }.items()),
]  # fmt: skip
