"""ELECTRA (arXiv 2003.10555). Source: `ElectraConfig` of transformers.

A discriminator tells of each token whether it was replaced; a generator is a masked language model.
"""

from __future__ import annotations

from weightscope.components.encoder import Encoder, EncoderModel
from weightscope.components.projection import Projection
from weightscope.config import Config
from weightscope.families.common import Dims
from weightscope.families.common.encoders import (
    classes,
    first_classes,
    heads_of,
    token_embeddings,
    transform,
    vocabulary_head,
)
from weightscope.families.common.refusals import require
from weightscope.families.registry import family
from weightscope.families.siblings.bert import BERT, NEEDS, bert_layers, refuse_others, roots_of, spelled, token_heads
from weightscope.roles import Role

ELECTRA = BERT | {
    "embedding_size": 128, "hidden_size": 256, "num_attention_heads": 4, "intermediate_size": 1024,
    "summary_type": "first", "summary_use_proj": True, "summary_activation": "gelu",
}  # fmt: skip


@family("electra", roots=roots_of("electra"), defaults=ELECTRA, needs=NEEDS)
def electra(config: Config, root: str) -> EncoderModel:
    """BERT's layers over embeddings of another width; no pooler."""
    refuse_others(config)
    prefix, norm = spelled(config, root)
    s, inner = Dims.of(config, even=True), config["embedding_size"]
    scores = transform(inner, "gelu", norm("LayerNorm", Role.NORM, inner), name="generator_predictions", inputs=s.width)
    vocabulary = (vocabulary_head(config, inner, scores, decoder="generator_lm_head"),)
    replaced = classes(
        s.width, 1, of="tokens", name="discriminator_predictions", out="dense_prediction",
        before=transform(s.width, config["hidden_act"]),
    )  # fmt: skip
    known = {
        "MaskedLM": vocabulary,
        "CausalLM": vocabulary,
        "PreTraining": (replaced,),
        "SequenceClassification": (first_classes(config, s.width, "gelu"),),
    } | token_heads(config, s.width)
    if config.task == "MultipleChoice":
        require(config, "ELECTRA", {"summary_type": "first", "summary_use_proj": True})
        summary = transform(s.width, config["summary_activation"], name="sequence_summary", dense="summary")
        known["MultipleChoice"] = (classes(s.width, 1, of="first", before=summary),)
    wider = None
    if inner != s.width:
        wider = Projection(
            name="embeddings_project", inputs=inner, outputs=s.width, bias=True, role=Role.EMBEDDING_PROJ
        )
    first = norm("embeddings.LayerNorm", Role.EMBEDDING_NORM, inner)
    return EncoderModel(
        encoder=Encoder(
            name=prefix,
            embeddings=token_embeddings(config, inner, first, name="", below="embeddings.", project=wider),
            blocks=bert_layers(config, s, norm),
            depth=s.depth,
        ),
        heads=heads_of(config, known),
        causal=config["is_decoder"],
    )
