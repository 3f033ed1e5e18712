"""What NomicBERT and Jina's embeddings share: BERT's layer with a rotation in place of learned positions.

Files have the names of their own code; transformers holds the same tensors in memory under others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from weightscope.components.attention import Rope
from weightscope.components.base import Component, Repeat
from weightscope.components.encoder import TokenEmbeddings
from weightscope.components.norm import Norm
from weightscope.config import Config
from weightscope.families.common import Dims, rotary
from weightscope.families.common.encoders import post_norm_block, seen, table
from weightscope.families.common.parts import four_projections, self_attention
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.linear import Linear

IN_MEMORY = "as in memory"


class Names(NamedTuple):
    """Names on disk; `fused` is the module of queries, keys and values, where they are one tensor."""

    layers: str
    attention: str
    fused: str
    out: str
    norms: tuple[str, str]
    embedding_norm: str


def published(attention: str) -> Names:
    """Those of the models' own code, whose attention has that name."""
    return Names("encoder.layers", attention, "Wqkv", "out_proj", ("norm1", "norm2"), "emb_ln")


HELD = Names(
    "layers", "self_attn", "", "o_proj", ("post_attention_layernorm", "post_mlp_layernorm"), "embeddings.LayerNorm"
)


def roots_of(prefix: str) -> tuple[str, ...]:
    """With the prefix and without, each under both spellings."""
    return prefix, "", f"{prefix}, {IN_MEMORY}", f", {IN_MEMORY}"


def embeddings(config: Config, width: Size, norm: Callable[[str, Role, Size], Norm], names: Names) -> TokenEmbeddings:
    """Tables of words and types, and a norm."""
    types = config["type_vocab_size"]
    return TokenEmbeddings(
        words=table("embeddings.word_embeddings", Role.TOKEN_EMBEDDING, config["vocab_size"], width),
        types=table("embeddings.token_type_embeddings", Role.TOKEN_TYPE_EMBEDDING, types, width),
        norm=norm(names.embedding_norm, Role.EMBEDDING_NORM, width),
    )


def layers(
    config: Config,
    s: Dims,
    norm: Callable[[str, Role, Size], Norm],
    names: Names,
    feed_forward: Component,
    *,
    bias: bool,
    positions: Rope | None = None,
    stored: type[Linear] = Linear,
) -> tuple[Repeat, ...]:
    """norm(x + attention(x)), then norm(x + feed_forward(x)); the rotation is the config's, unless told otherwise."""
    fused = stored(names.fused, Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ, bias=bias)
    out = stored(names.out, Role.O_PROJ, bias=bias)
    attention = self_attention(
        s,
        (fused, out) if names.fused else four_projections(qkv_bias=bias, o_bias=bias),
        name=names.attention,
        positions=positions or rotary(config, s.head_dim),
        sees=seen(config),
    )
    block = post_norm_block(norm, s.width, names.norms, attention=attention, feed_forward=feed_forward)
    return (Repeat(name=names.layers, indices=range(s.depth), child=block),)
