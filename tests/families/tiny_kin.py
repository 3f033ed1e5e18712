"""Tiny models of BERT's kin, with each of their heads."""

from __future__ import annotations

from typing import Any

from tests.families.tiny import Tiny
from tests.families.tiny_encoders import BERT

ROBERTA: dict[str, Any] = BERT | {"pad_token_id": 1, "bos_token_id": 2, "eos_token_id": 3}
FIVE = {"num_labels": 5}


def headed(name: str, kind: str, keys: dict[str, Any], *models: str) -> list[Tiny]:
    """One for each model class; of classifiers with five classes."""
    return [
        Tiny(f"{name}-{model.removeprefix('For')}", kind, keys | (FIVE if "Classification" in model else {}), model)
        for model in models
    ]


COMMON = ("Model", "ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering", "ForMultipleChoice")
TINY_KIN = [
    Tiny("roberta", "Roberta", ROBERTA, "ForMaskedLM"),
    Tiny("roberta-untied", "Roberta", ROBERTA | {"tie_word_embeddings": False}, "ForMaskedLM"),
    Tiny("roberta-decoder", "Roberta", ROBERTA | {"is_decoder": True}),
    *headed("roberta", "Roberta", ROBERTA, *COMMON),
    Tiny("xlm-roberta", "XLMRoberta", ROBERTA | {"hidden_act": "relu"}, "ForMaskedLM"),
    Tiny("xlm-roberta-base", "XLMRoberta", ROBERTA | {"pad_token_id": 0}, "Model"),
    Tiny("camembert", "Camembert", ROBERTA, "ForMaskedLM"),
]  # fmt: skip
