"""Tiny encoders, with each of their heads."""

from __future__ import annotations

from typing import Any

from tests.families.tiny import Tiny

BERT: dict[str, Any] = {
    "vocab_size": 101, "hidden_size": 24, "intermediate_size": 52, "num_hidden_layers": 3, "num_attention_heads": 6,
    "max_position_embeddings": 37, "type_vocab_size": 3, "pad_token_id": 0,
}  # fmt: skip
TINY_ENCODERS = [
    Tiny("bert", "Bert", BERT, "ForMaskedLM"),
    Tiny("bert-untied", "Bert", BERT | {"tie_word_embeddings": False, "hidden_act": "relu"}, "ForMaskedLM"),
    Tiny("bert-base", "Bert", BERT, "Model"),
    Tiny("bert-pretraining", "Bert", BERT, "ForPreTraining"),
    Tiny("bert-pairs", "Bert", BERT, "ForNextSentencePrediction"),
    Tiny("bert-classifier", "Bert", BERT | {"num_labels": 5}, "ForSequenceClassification"),
    Tiny("bert-choice", "Bert", BERT, "ForMultipleChoice"),
    Tiny("bert-tagger", "Bert", BERT | {"num_labels": 5}, "ForTokenClassification"),
    Tiny("bert-answers", "Bert", BERT, "ForQuestionAnswering"),
    Tiny("bert-decoder", "Bert", BERT | {"is_decoder": True}, "LMHeadModel"),
]  # fmt: skip
