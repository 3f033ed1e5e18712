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


DISTILBERT: dict[str, Any] = {
    "vocab_size": 101, "dim": 24, "hidden_dim": 52, "n_layers": 3, "n_heads": 6, "max_position_embeddings": 37,
}  # fmt: skip
ELECTRA: dict[str, Any] = BERT | {"embedding_size": 20}
ALBERT: dict[str, Any] = ELECTRA | {"num_hidden_layers": 4, "bos_token_id": 2, "eos_token_id": 3}
TYPELESS = {key: value for key, value in BERT.items() if key != "type_vocab_size"}
SPECIAL: dict[str, int] = {"bos_token_id": 2, "eos_token_id": 3, "cls_token_id": 2, "sep_token_id": 3}
MODERN: dict[str, Any] = TYPELESS | SPECIAL | {"num_hidden_layers": 4, "local_attention": 6}
NOMIC: dict[str, Any] = BERT | {"bos_token_id": 2, "eos_token_id": 3}
EURO: dict[str, Any] = TYPELESS | {"bos_token_id": 2, "eos_token_id": 3, "num_key_value_heads": 2, "mask_token_id": 4}
DEBERTA: dict[str, Any] = BERT | {
    "relative_attention": True, "max_relative_positions": 5, "pos_att_type": ["c2p", "p2c"],
    "position_biased_input": False, "type_vocab_size": 0,
}  # fmt: skip
DEBERTA_V3: dict[str, Any] = DEBERTA | {
    "max_relative_positions": 20, "position_buckets": 6, "share_att_key": True, "norm_rel_ebd": "layer_norm",
}  # fmt: skip
LAYOUT: dict[str, Any] = BERT | {"max_2d_position_embeddings": 50}
PROTEIN: dict[str, Any] = TYPELESS | {"pad_token_id": 1, "mask_token_id": 88, "eos_token_id": 2}
LONG: dict[str, Any] = ROBERTA | {"attention_window": [4, 8, 4], "sep_token_id": 3}
GTE: dict[str, Any] = TYPELESS | {"type_vocab_size": 3, "pad_token_id": 0}
MPNET: dict[str, Any] = TYPELESS | {"pad_token_id": 1, "bos_token_id": 2, "eos_token_id": 3}
COMMON = ("Model", "ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering", "ForMultipleChoice")
TINY_KIN = [
    Tiny("roberta", "Roberta", ROBERTA, "ForMaskedLM"),
    Tiny("roberta-untied", "Roberta", ROBERTA | {"tie_word_embeddings": False}, "ForMaskedLM"),
    Tiny("roberta-decoder", "Roberta", ROBERTA | {"is_decoder": True}),
    *headed("roberta", "Roberta", ROBERTA, *COMMON),
    Tiny("xlm-roberta", "XLMRoberta", ROBERTA | {"hidden_act": "relu"}, "ForMaskedLM"),
    Tiny("xlm-roberta-base", "XLMRoberta", ROBERTA | {"pad_token_id": 0}, "Model"),
    Tiny("camembert", "Camembert", ROBERTA, "ForMaskedLM"),
    Tiny("distilbert", "DistilBert", DISTILBERT, "ForMaskedLM"),
    Tiny("distilbert-untied", "DistilBert", DISTILBERT | {"tie_word_embeddings": False, "activation": "relu"},
         "ForMaskedLM"),
    *headed("distilbert", "DistilBert", DISTILBERT, *COMMON),
    Tiny("electra", "Electra", ELECTRA, "ForMaskedLM"),
    Tiny("electra-untied", "Electra", ELECTRA | {"tie_word_embeddings": False}, "ForMaskedLM"),
    Tiny("electra-square", "Electra", BERT | {"embedding_size": 24, "hidden_act": "relu"}, "ForPreTraining"),
    Tiny("electra-decoder", "Electra", ELECTRA | {"is_decoder": True}),
    *headed("electra", "Electra", ELECTRA, *COMMON),
    Tiny("albert", "Albert", ALBERT, "ForMaskedLM"),
    Tiny("albert-untied", "Albert", ALBERT | {"tie_word_embeddings": False}, "ForMaskedLM"),
    Tiny("albert-groups", "Albert", ALBERT | {"num_hidden_groups": 2, "inner_group_num": 2}, "ForPreTraining"),
    *headed("albert", "Albert", ALBERT, *COMMON),
    Tiny("deberta", "Deberta", DEBERTA, "ForMaskedLM"),
    Tiny("deberta-plain", "Deberta", BERT | {"tie_word_embeddings": False, "hidden_act": "relu"}, "ForMaskedLM"),
    Tiny("deberta-c2p", "Deberta", DEBERTA | {
        "pos_att_type": "c2p", "position_biased_input": True, "max_relative_positions": -1,
    }, "ForMaskedLM"),
    *headed("deberta", "Deberta", DEBERTA, *COMMON[:4]),
    Tiny("deberta-v2", "DebertaV2", DEBERTA, "ForMaskedLM"),
    Tiny("deberta-v2-plain", "DebertaV2", BERT | {"tie_word_embeddings": False}, "ForMaskedLM"),
    Tiny("deberta-v2-p2c", "DebertaV2", DEBERTA_V3 | {
        "pos_att_type": "p2c", "share_att_key": False, "max_relative_positions": -1,
    }, "ForMaskedLM"),
    *headed("deberta-v3", "DebertaV2", DEBERTA_V3, *COMMON),
    Tiny("layoutlm", "LayoutLM", LAYOUT, "ForMaskedLM"),
    Tiny("layoutlm-untied", "LayoutLM", LAYOUT | {"tie_word_embeddings": False, "hidden_act": "relu"}, "ForMaskedLM"),
    *headed("layoutlm", "LayoutLM", LAYOUT, *COMMON[:4]),
    Tiny("esm", "Esm", PROTEIN | {"token_dropout": True}, "ForMaskedLM"),
    Tiny("esm-untied", "Esm", PROTEIN | {"tie_word_embeddings": False, "emb_layer_norm_before": True}, "ForMaskedLM"),
    *headed("esm", "Esm", PROTEIN, *COMMON[:3]),
    Tiny("longformer", "Longformer", LONG, "ForMaskedLM"),
    Tiny("longformer-untied", "Longformer", LONG | {"tie_word_embeddings": False, "attention_window": 4},
         "ForMaskedLM"),
    *headed("longformer", "Longformer", LONG, *COMMON[:4], "ForMultipleChoice"),
    Tiny("mpnet", "MPNet", MPNET, "ForMaskedLM"),
    Tiny("mpnet-untied", "MPNet", MPNET | {"tie_word_embeddings": False, "hidden_act": "relu"}, "ForMaskedLM"),
    *headed("mpnet", "MPNet", MPNET, *COMMON),
    Tiny("modernbert", "ModernBert", MODERN, "ForMaskedLM"),
    Tiny("modernbert-biases", "ModernBert", MODERN | {
        "norm_bias": True, "attention_bias": True, "mlp_bias": True, "classifier_bias": True, "decoder_bias": False,
        "tie_word_embeddings": False, "hidden_activation": "relu", "classifier_activation": "silu",
        "global_attn_every_n_layers": 2,
    }, "ForMaskedLM"),
    Tiny("modernbert-mean", "ModernBert", MODERN | FIVE | {"classifier_pooling": "mean"}, "ForSequenceClassification"),
    *headed("modernbert", "ModernBert", MODERN, *COMMON),
    Tiny("nomic_bert", "NomicBert", NOMIC, "ForMaskedLM"),
    Tiny("nomic_bert-untied", "NomicBert", NOMIC | {"tie_word_embeddings": False, "head_dim": 10}, "ForMaskedLM"),
    *headed("nomic_bert", "NomicBert", NOMIC, *COMMON[:3]),
    Tiny("jina_embeddings_v3", "JinaEmbeddingsV3", ROBERTA, "ForMaskedLM"),
    Tiny("jina_embeddings_v3-untied", "JinaEmbeddingsV3", ROBERTA | {"tie_word_embeddings": False}, "ForMaskedLM"),
    *headed("jina_embeddings_v3", "JinaEmbeddingsV3", ROBERTA, *COMMON[:4]),
    Tiny("gte", "Gte", GTE, "ForMaskedLM"),
    Tiny("gte-untied-no-types", "Gte", GTE | {"tie_word_embeddings": False, "type_vocab_size": 0}, "ForMaskedLM"),
    *headed("gte", "Gte", GTE, *COMMON[:3]),
    Tiny("eurobert", "EuroBert", EURO, "ForMaskedLM"),
    Tiny("eurobert-tied", "EuroBert", EURO | {
        "tie_word_embeddings": True, "mlp_bias": True, "attention_bias": True, "head_dim": 10,
    }, "ForMaskedLM"),
    Tiny("eurobert-mean", "EuroBert", EURO | FIVE | {"classifier_pooling": "mean"}, "ForSequenceClassification"),
    Tiny("eurobert-bos", "EuroBert", EURO | FIVE | {"classifier_pooling": "bos"}, "ForSequenceClassification"),
    *headed("eurobert", "EuroBert", EURO, *COMMON[:3]),
]  # fmt: skip
# transformers 5.23 writes the rotary table of ESM under the name of a pattern, so that no file of its has a right one.
TINY_TURNING_ESM = [
    Tiny("esm-rotary", "Esm", PROTEIN | {"position_embedding_type": "rotary", "token_dropout": True}, "ForMaskedLM"),
    Tiny("esm-rotary-base", "Esm", PROTEIN | {"position_embedding_type": "rotary"}, "Model"),
]
