"""BLIP's text models: BERT's layers, each of which looks at an image after it has looked at the text."""

from __future__ import annotations

from typing import Any

from weightscope.components.attention import EVERYTHING, Attention
from weightscope.components.base import Repeat
from weightscope.components.encoder import Encoder, TokenEmbeddings
from weightscope.components.encoder_heads import MaskedHead
from weightscope.components.halves import SOURCE, CrossBlock
from weightscope.config import Config, Nullable
from weightscope.families.common import Dims, layer_norms
from weightscope.families.common.encoders import masked, seen, table, transform
from weightscope.families.common.parts import linears, self_attention
from weightscope.families.siblings.bert import NORMS, PROJECTIONS, bert_mlp
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.plain import Buffer

TEXT: dict[str, Any] = {
    "vocab_size": 30524, "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
    "num_attention_heads": 8, "max_position_embeddings": 512, "hidden_act": "gelu", "layer_norm_eps": 1e-12,
    "bos_token_id": Nullable(int, 30522), "is_decoder": True, "tie_word_embeddings": True,
    # No field of the class, but transformers' masks obey it of any.
    "is_causal": Nullable(bool),
}  # fmt: skip


def text_encoder(config: Config, name: str, features: Size, *, writes: bool) -> Encoder:
    """Embeddings without types, then the layers; a token of a text that is written sees those before it.

    `features` is how wide what they look at is.

    Raises:
        UndeclaredError: the layers look at nothing.
    """
    if not config["is_decoder"]:
        raise config.undeclared("BLIP without text_config.is_decoder is not declared")
    s, norm = Dims.of(config, even=True), layer_norms(config["layer_norm_eps"])
    places = config["max_position_embeddings"]
    first, last = NORMS
    block = CrossBlock(
        input_norm=None,
        attention=self_attention(
            s, linears(PROJECTIONS, bias=True), name="attention", sees=seen(config, causal=writes)
        ),
        attention_out_norm=norm(first, Role.POST_ATTENTION_NORM, s.width),
        cross_norm=norm("crossattention.output.LayerNorm", Role.CROSS_NORM, s.width),
        cross=Attention(
            name="crossattention",
            projections=linears(PROJECTIONS, bias=True),
            width=s.width,
            heads=s.heads,
            sees=EVERYTHING,
            source=SOURCE,
            source_width=features,
        ),
        feed_forward_norm=None,
        feed_forward=bert_mlp(config, s.width),
        feed_forward_out_norm=norm(last, Role.POST_FEEDFORWARD_NORM, s.width),
        norms_sums=True,
    )
    return Encoder(
        name=name,
        embeddings=TokenEmbeddings(
            name="embeddings",
            words=table("word_embeddings", Role.TOKEN_EMBEDDING, config["vocab_size"], s.width),
            positions=table("position_embeddings", Role.POSITION_EMBEDDING, places, s.width),
            norm=norm("LayerNorm", Role.EMBEDDING_NORM, s.width),
            buffers=(Buffer("position_ids", Role.POSITION_IDS, (Size(1), places)),),
        ),
        blocks=(Repeat(name="encoder.layer", indices=range(s.depth), child=block),),
        depth=s.depth,
    )


def vocabulary(config: Config) -> MaskedHead:
    """Scores of the token after each."""
    width, norm = config["hidden_size"], layer_norms(config["layer_norm_eps"])
    before = transform(width, config["hidden_act"], norm("LayerNorm", Role.NORM, width), name="transform")
    return masked(config, width, before, name="cls.predictions")
