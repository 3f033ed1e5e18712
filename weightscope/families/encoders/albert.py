"""ALBERT (arXiv 1909.11942): BERT whose layers share their weights. Source: `AlbertConfig` of transformers."""

from __future__ import annotations

from weightscope.components.base import Repeat
from weightscope.components.encoder import Encoder, EncoderModel
from weightscope.components.encoder_heads import EncoderHead
from weightscope.components.layer_group import LayerGroup
from weightscope.components.projection import Projection
from weightscope.config import Config
from weightscope.families.common import Dims
from weightscope.families.common.encoders import (
    classes,
    heads_of,
    leaves_pooled,
    masked,
    post_norm_block,
    seen,
    token_embeddings,
    transform,
)
from weightscope.families.common.parts import linears, mlp, self_attention
from weightscope.families.registry import family
from weightscope.families.siblings.bert import BERT, NEEDS, roots_of, spelled, token_heads
from weightscope.roles import Role

NORMS = ("attention.LayerNorm", "full_layer_layer_norm")
PROJECTIONS = {"query": Role.Q_PROJ, "key": Role.K_PROJ, "value": Role.V_PROJ, "dense": Role.O_PROJ}
UNREAD = ("is_decoder", "add_cross_attention", "position_embedding_type")
ALBERT = {key: default for key, default in BERT.items() if key not in UNREAD} | {
    "vocab_size": 30000, "embedding_size": 128, "hidden_size": 4096, "num_hidden_groups": 1, "num_attention_heads": 64,
    "intermediate_size": 16384, "inner_group_num": 1, "hidden_act": "gelu_new",
}  # fmt: skip


@family("albert", roots=roots_of("albert"), defaults=ALBERT, needs=NEEDS)
def albert(config: Config, root: str) -> EncoderModel:
    """Groups of layers are stored once; each is used for as many layers as the others, one after another."""
    prefix, norm = spelled(config, root)
    s, inner, groups = Dims.of(config, even=True), config["embedding_size"], config["num_hidden_groups"]
    attention = self_attention(s, linears(PROJECTIONS, bias=True), name="attention", sees=seen(config))
    feed_forward = mlp(
        s.width, config["intermediate_size"], config["hidden_act"], name="", names=("ffn", "ffn_output"), bias=True
    )
    block = post_norm_block(norm, s.width, NORMS, attention=attention, feed_forward=feed_forward)
    layers = Repeat(name="albert_layers", indices=range(config["inner_group_num"]), child=block, of="part")
    before = transform(inner, config["hidden_act"], norm("LayerNorm", Role.NORM, inner), inputs=s.width)
    vocabulary = masked(config, inner, before, name="predictions")
    order = classes(s.width, config.labels, of="pooled", name="sop_classifier")
    known = {
        "MaskedLM": (vocabulary,),
        "PreTraining": (vocabulary, order),
        "SequenceClassification": (classes(s.width, config.labels, of="pooled"),),
        "MultipleChoice": (classes(s.width, 1, of="pooled"),),
    } | token_heads(config, s.width)
    heads = heads_of(config, known)
    unused = leaves_pooled(heads)
    pooled = transform(s.width, "tanh", dense="pooler", role=Role.POOLER, optional=unused)
    wider = Projection(
        name="encoder.embedding_hidden_mapping_in", inputs=inner, outputs=s.width, bias=True, role=Role.EMBEDDING_PROJ
    )
    first = norm("embeddings.LayerNorm", Role.EMBEDDING_NORM, inner)
    return EncoderModel(
        encoder=Encoder(
            name=prefix,
            embeddings=token_embeddings(config, inner, first, name="", below="embeddings.", project=wider),
            blocks=(
                Repeat(name="encoder.albert_layer_groups", indices=range(groups), child=LayerGroup(layers=layers)),
            ),
            order=tuple(int(i / (s.depth / groups)) for i in range(s.depth)),
            pooler=EncoderHead(of="first", before=pooled, auxiliary=unused),
            depth=s.depth,
        ),
        heads=heads,
    )
