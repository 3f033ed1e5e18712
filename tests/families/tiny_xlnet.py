"""Tiny XLNets, with each of their heads."""

from __future__ import annotations

from typing import Any

from tests.families.tiny import Tiny
from tests.families.tiny_kin import headed

XLNET: dict[str, Any] = {
    "vocab_size": 101, "d_model": 24, "n_layer": 3, "n_head": 6, "d_inner": 52, "pad_token_id": 5,
}  # fmt: skip
HEADS = ("ForSequenceClassification", "ForMultipleChoice", "ForTokenClassification", "ForQuestionAnsweringSimple")
FIRST = {"summary_type": "first", "summary_activation": "relu"}
TINY_XLNET = [
    Tiny("xlnet", "XLNet", XLNET, "LMHeadModel"),
    Tiny("xlnet-untied", "XLNet", XLNET | {"tie_word_embeddings": False, "ff_activation": "relu"}, "LMHeadModel"),
    Tiny("xlnet-before", "XLNet", XLNET | {"attn_type": "uni", "clamp_len": 3}, "LMHeadModel"),
    Tiny("xlnet-base", "XLNet", XLNET | {"clamp_len": 2}, "Model"),
    *headed("xlnet", "XLNet", XLNET, *HEADS),
    Tiny("xlnet-answers", "XLNet", XLNET | {"start_n_top": 3, "end_n_top": 4}, "ForQuestionAnswering"),
    Tiny("xlnet-first", "XLNet", XLNET | {"num_labels": 5} | FIRST, "ForSequenceClassification"),
    Tiny("xlnet-mean", "XLNet", XLNET | {"num_labels": 5, "summary_type": "mean"}, "ForSequenceClassification"),
]
