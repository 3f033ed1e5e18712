"""Encoders: BERT and its kin, whose norms act on sums, and those that turn like decoders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightscope.gguf.architecture import Architecture, Settings
from weightscope.gguf.dense import usual
from weightscope.gguf.keys import Keys
from weightscope.gguf.rotation import rotation
from weightscope.roles import Role

if TYPE_CHECKING:
    from weightscope.families.declaration import Declaration

SUMS = {Role.POST_ATTENTION_NORM: "attn_output_norm", Role.POST_FEEDFORWARD_NORM: "layer_output_norm"}
CLASSES = {Role.OUTPUT_PROJ: "cls", Role.CLASSIFIER: "cls.output"}
TYPES = "tokenizer.ggml.token_type_count"
# What scores classes, of those models that have it.
BEFORE, SCORES = "cls.weight", "cls.output.weight"
# Every third layer of ModernBERT sees everything, the first of them the first layer.
EVERY = 3


def _without_pooler(declaration: Declaration, keys: Keys) -> Declaration:
    from weightscope.gguf.pooling import without_pooler

    return without_pooler(declaration, keys)


def _bert(keys: Keys) -> Settings:
    return {
        "layer_norm_eps": keys.number("attention.layer_norm_epsilon"),
        "type_vocab_size": keys.metadata.whole(TYPES) or keys.rows("token_types.weight"),
        "num_key_value_heads": None,
        "num_labels": keys.rows(SCORES),
        # The tables count from the first token, as BERT does: of RoBERTa's the converter leaves out what is before.
        "architectures": ["BertModel"],
    }


def _distilbert(keys: Keys) -> Settings:
    return {"hidden_dim": keys.whole("feed_forward_length"), "num_key_value_heads": None, "intermediate_size": None}


def _nomic(keys: Keys) -> Settings:
    return _bert(keys) | {"architectures": ["NomicBertModel"]} | rotation(keys)


def _modernbert(keys: Keys) -> Settings:
    theta = keys.number("rope.freq_base")
    return {
        "norm_eps": keys.number("attention.layer_norm_epsilon"),
        "num_key_value_heads": None,
        "hidden_activation": keys.text("hidden_activation"),
        "attention_bias": keys.biased,
        "mlp_bias": "blk.0.ffn_up.bias" in keys.names,
        "norm_bias": "blk.0.ffn_norm.bias" in keys.names,
        "local_attention": keys.whole("attention.sliding_window"),
        "global_attn_every_n_layers": keys.whole("attention.sliding_window_pattern") or EVERY,
        "global_rope_theta": theta,
        "local_rope_theta": keys.number("rope.freq_base_swa") or theta,
    }


def _eurobert(keys: Keys) -> Settings:
    return usual(keys) | {"attention_bias": keys.biased}


def bert_of(keys: Keys) -> Architecture:
    """BERT, or DistilBERT, which has no types of tokens; a file without tensors does not tell."""
    return DISTILBERT if keys.names and "token_types.weight" not in keys.names else BERT


BERT = Architecture(model_type="bert", settings=_bert, names=SUMS | CLASSES, cut=_without_pooler)
DISTILBERT = Architecture(model_type="distilbert", settings=_distilbert, names=SUMS, cut=_without_pooler)
NOMIC = Architecture(model_type="nomic_bert", settings=_nomic, names=SUMS, cut=_without_pooler)
MODERNBERT = Architecture(model_type="modernbert", settings=_modernbert, cut=_without_pooler)
EUROBERT = Architecture(model_type="eurobert", settings=_eurobert, cut=_without_pooler)
