"""DistilBERT (arXiv 1910.01108): BERT without types of tokens or pooler. Source: transformers' `DistilBertConfig`."""

from __future__ import annotations

from weightscope.components.base import Repeat
from weightscope.components.encoder import Encoder, EncoderModel, TokenEmbeddings
from weightscope.config import Config, Nullable
from weightscope.families.common import Dims, layer_norms
from weightscope.families.common.encoders import (
    classes,
    heads_of,
    post_norm_block,
    seen,
    table,
    transform,
    vocabulary_head,
)
from weightscope.families.common.parts import linears, mlp, self_attention
from weightscope.families.registry import family
from weightscope.families.siblings.bert import token_heads
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.plain import Buffer

NORMS = ("sa_layer_norm", "output_layer_norm")
PROJECTIONS = {"q_lin": Role.Q_PROJ, "k_lin": Role.K_PROJ, "v_lin": Role.V_PROJ, "out_lin": Role.O_PROJ}
MAP = {"hidden_size": "dim", "num_attention_heads": "n_heads", "num_hidden_layers": "n_layers"}
DISTILBERT = {
    "vocab_size": 30522, "dim": 768, "n_layers": 6, "n_heads": 12, "hidden_dim": 3072, "activation": "gelu",
    "max_position_embeddings": 512, "tie_word_embeddings": True, "is_causal": Nullable(bool),
}  # fmt: skip


@family("distilbert", roots=("distilbert", ""), defaults=DISTILBERT, attribute_map=MAP, needs=tuple(MAP))
def distilbert(config: Config, root: str) -> EncoderModel:
    """A classifier sees the first token through a matrix of its own."""
    s, norm = Dims.of(config, even=True), layer_norms(1e-12)
    positions = config["max_position_embeddings"]
    attention = self_attention(s, linears(PROJECTIONS, bias=True), name="attention", sees=seen(config))
    feed_forward = mlp(
        s.width, config["hidden_dim"], config["activation"], name="ffn", names=("lin1", "lin2"), bias=True
    )
    block = post_norm_block(norm, s.width, NORMS, attention=attention, feed_forward=feed_forward)
    first = transform(s.width, "relu", dense="pre_classifier")
    before = transform(
        s.width, config["activation"], norm("vocab_layer_norm", Role.NORM, s.width), dense="vocab_transform"
    )
    known = {
        "MaskedLM": (vocabulary_head(config, s.width, before, decoder="vocab_projector"),),
        "SequenceClassification": (classes(s.width, config.labels, of="first", before=first),),
        "MultipleChoice": (classes(s.width, 1, of="first", before=first),),
    } | token_heads(config, s.width)
    return EncoderModel(
        encoder=Encoder(
            name=root,
            embeddings=TokenEmbeddings(
                name="embeddings",
                words=table("word_embeddings", Role.TOKEN_EMBEDDING, config["vocab_size"], s.width),
                positions=table("position_embeddings", Role.POSITION_EMBEDDING, positions, s.width),
                norm=norm("LayerNorm", Role.EMBEDDING_NORM, s.width),
                buffers=(Buffer("position_ids", Role.POSITION_IDS, (Size(1), positions)),),
            ),
            blocks=(Repeat(name="transformer.layer", indices=range(s.depth), child=block),),
            depth=s.depth,
        ),
        heads=heads_of(config, known),
    )
