"""BERT (arXiv 1810.04805). Source: `BertConfig` of transformers.

gte, bge, e5 and MiniLM are BERTs, published without the prefix; TensorFlow's names of norms are in old files.
"""

from __future__ import annotations

from typing import Any

from weightscope.components.attention import CAUSAL, EVERYTHING
from weightscope.components.base import Repeat
from weightscope.components.decoder import Block
from weightscope.components.encoder import Encoder, EncoderModel
from weightscope.components.projection import Projection
from weightscope.config import Config, Nullable
from weightscope.families.common import Dims, layer_norms
from weightscope.families.common.encoders import classes, heads_of, masked, pooler, token_embeddings, transform
from weightscope.families.common.parts import linears, mlp, self_attention
from weightscope.families.registry import family
from weightscope.roles import Role
from weightscope.sizes import Size

BERT: dict[str, Any] = {
    "vocab_size": 30522, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
    "intermediate_size": 3072, "hidden_act": "gelu", "max_position_embeddings": 512, "type_vocab_size": 2,
    "layer_norm_eps": 1e-12, "is_decoder": False, "add_cross_attention": False, "tie_word_embeddings": True,
    # A key of older classes, which had other positions too.
    "position_embedding_type": Nullable(str), "architectures": Nullable(list),
}  # fmt: skip
PROJECTIONS = {
    "self.query": Role.Q_PROJ, "self.key": Role.K_PROJ, "self.value": Role.V_PROJ, "output.dense": Role.O_PROJ,
}  # fmt: skip
TENSORFLOW = "with TensorFlow's names of norms"
ROOTS = ("bert", "", f"bert, {TENSORFLOW}", f", {TENSORFLOW}")
POOLED = ("PreTraining", "NextSentencePrediction", "SequenceClassification", "MultipleChoice")


@family("bert", roots=ROOTS, defaults=BERT, needs=("hidden_size", "num_hidden_layers"))
def bert(config: Config, root: str) -> EncoderModel:
    """Norms act after the sums. A masked model's files may have the pooler and the head of sentence pairs as well."""
    if config["position_embedding_type"] not in (None, "absolute"):
        raise config.undeclared(f"the position_embedding_type {config['position_embedding_type']!r} is not declared")
    if config["add_cross_attention"]:
        raise config.undeclared("BERT with cross-attention is not declared")
    prefix, _, old = root.partition(", ")
    s, leaves = Dims.of(config, even=True), ("gamma", "beta") if old else ("weight", "bias")
    norm = layer_norms(config["layer_norm_eps"], leaves=leaves)
    attention = self_attention(
        s,
        linears(PROJECTIONS, bias=True),
        name="attention",
        sees=CAUSAL if config["is_decoder"] else EVERYTHING,
    )
    block = Block(
        input_norm=None,
        attention=attention,
        attention_out_norm=norm("attention.output.LayerNorm", Role.POST_ATTENTION_NORM, s.width),
        feed_forward_norm=None,
        feed_forward=mlp(
            s.width,
            config["intermediate_size"],
            config["hidden_act"],
            name="",
            names=("intermediate.dense", "output.dense"),
            bias=True,
        ),
        feed_forward_out_norm=norm("output.LayerNorm", Role.POST_FEEDFORWARD_NORM, s.width),
        norms_sums=True,
    )
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
        "TokenClassification": (classes(s.width, config.labels, of="tokens"),),
        "QuestionAnswering": (classes(s.width, config.labels, of="tokens", out="qa_outputs"),),
    }
    heads = heads_of(config, known)
    pools = not heads or config.task in POOLED
    return EncoderModel(
        encoder=Encoder(
            name=prefix,
            embeddings=token_embeddings(config, s.width, norm("LayerNorm", Role.EMBEDDING_NORM, s.width)),
            blocks=(Repeat(name="encoder.layer", indices=range(s.depth), child=block),),
            pooler=pooler(s.width, unused=not pools),
            depth=s.depth,
        ),
        heads=heads,
        extras=(unused_pairs(s.width),) if heads[:1] == (vocabulary,) and not pools else (),
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
