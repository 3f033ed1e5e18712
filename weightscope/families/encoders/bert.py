"""BERT (arXiv 1810.04805). Source: `BertConfig` of transformers.

gte, bge, e5 and MiniLM are BERTs, published without the prefix; TensorFlow's names of norms are in old files.
"""

from __future__ import annotations

from weightscope.components.encoder import Encoder, EncoderModel
from weightscope.components.projection import Projection
from weightscope.config import Config
from weightscope.families.common import Dims
from weightscope.families.common.encoders import (
    classes,
    heads_of,
    leaves_pooled,
    masked,
    pooler,
    token_embeddings,
    transform,
)
from weightscope.families.registry import family
from weightscope.families.siblings.bert import BERT, NEEDS, bert_layers, refuse_others, roots_of, spelled, token_heads
from weightscope.roles import Role
from weightscope.sizes import Size


@family("bert", roots=roots_of("bert"), defaults=BERT, needs=NEEDS)
def bert(config: Config, root: str) -> EncoderModel:
    """A masked model's files may have the pooler and the head of sentence pairs as well."""
    refuse_others(config)
    prefix, norm = spelled(config, root)
    s = Dims.of(config, even=True)
    before = transform(s.width, config["hidden_act"], norm("LayerNorm", Role.NORM, s.width), name="transform")
    vocabulary = masked(config, s.width, before, name="cls.predictions")
    pairs = classes(s.width, 2, of="pooled", name="cls", out="seq_relationship")
    known = {
        "MaskedLM": (vocabulary,),
        "LMHeadModel": (vocabulary,),
        "PreTraining": (vocabulary, pairs),
        "NextSentencePrediction": (pairs,),
        "SequenceClassification": (classes(s.width, config.labels, of="pooled"),),
        "MultipleChoice": (classes(s.width, 1, of="pooled"),),
    } | token_heads(config, s.width)
    heads = heads_of(config, known)
    return EncoderModel(
        encoder=Encoder(
            name=prefix,
            embeddings=token_embeddings(config, s.width, norm("LayerNorm", Role.EMBEDDING_NORM, s.width)),
            blocks=bert_layers(config, s, norm),
            pooler=pooler(s.width, unused=leaves_pooled(heads)),
            depth=s.depth,
        ),
        heads=heads,
        extras=(unused_pairs(s.width),) if heads == (vocabulary,) else (),
        causal=config["is_decoder"],
    )


def unused_pairs(width: Size) -> Projection:
    """The head of sentence pairs that published files of masked models have as well."""
    return Projection(
        name="cls.seq_relationship",
        inputs=width,
        outputs=Size(2),
        bias=True,
        role=Role.CLASSIFIER,
        optional=True,
        auxiliary=True,
    )
