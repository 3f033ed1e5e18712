"""ESM's keys, embeddings, and head over the vocabulary; the rotary tables that its files have under three names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from weightscope.components.embedding import Head
from weightscope.components.encoder import TokenEmbeddings
from weightscope.components.encoder_heads import MaskedHead
from weightscope.components.masked_embeddings import MaskedEmbeddings
from weightscope.components.norm import Norm
from weightscope.components.unused import Unused
from weightscope.config import Config, Nullable
from weightscope.families.common import Dims
from weightscope.families.common.encoders import table, transform
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import join
from weightscope.storage.plain import Buffer

ESM: dict[str, Any] = {
    "vocab_size": 33, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072,
    "max_position_embeddings": 1026, "rope_theta": 10000.0, "layer_norm_eps": 1e-12, "mask_token_id": Nullable(int),
    "pad_token_id": Nullable(int), "position_embedding_type": Nullable(str, "absolute"),
    "emb_layer_norm_before": Nullable(bool), "token_dropout": Nullable(bool, False),
    "is_folding_model": Nullable(bool, False), "is_decoder": Nullable(bool, False), "is_causal": Nullable(bool),
    "add_cross_attention": Nullable(bool, False), "tie_word_embeddings": True,
}  # fmt: skip


def tables(head_dim: Size, *names: str) -> tuple[Buffer, ...]:
    """Rotary tables that need not be there."""
    return tuple(Buffer(name, Role.ROTARY_TABLE, (Size(-(-head_dim // 2)),)) for name in names)


def embeddings(
    config: Config, s: Dims, norm: Callable[[str, Role, Size], Norm], *, padding: int, turns: bool
) -> TokenEmbeddings:
    """Words, with learned positions unless a rotation takes their place.

    Raises:
        UndeclaredError: tokens at the mask are to count nothing, and no key says which these are.
    """
    positions = config["max_position_embeddings"]
    placed = table("embeddings.position_embeddings", Role.POSITION_EMBEDDING, positions, s.width, offset=padding + 1)
    words = table("embeddings.word_embeddings", Role.TOKEN_EMBEDDING, config["vocab_size"], s.width)
    before = norm("embeddings.layer_norm", Role.EMBEDDING_NORM, s.width) if config["emb_layer_norm_before"] else None
    buffers: tuple[Buffer, ...] = (Buffer("embeddings.position_ids", Role.POSITION_IDS, (Size(1), positions)),)
    if turns:
        # The second is what transformers 5 writes.
        last = "rotary_embeddings.inv_freq"
        buffers += tables(s.head_dim, last, f"encoder.layer.*.attention.self.{last}")
    if not config["token_dropout"]:
        return TokenEmbeddings(words=words, positions=None if turns else placed, norm=before, buffers=buffers)
    if config["mask_token_id"] is None:
        raise config.undeclared("ESM with token_dropout and without mask_token_id is not declared")
    return MaskedEmbeddings(
        words=words,
        positions=None if turns else placed,
        norm=before,
        buffers=buffers,
        mask=int(config["mask_token_id"]),
    )


def vocabulary(config: Config, width: Size, norm: Norm) -> MaskedHead:
    """A matrix without a bias of its own; the bias lies beside it."""
    tied = bool(config["tie_word_embeddings"])
    return MaskedHead(
        name="lm_head",
        before=transform(width, "gelu", norm),
        decoder=Head(name="decoder", vocabulary=config["vocab_size"], width=width, tied=tied),
        copies=(),
    )


def left_over(config: Config, prefix: str) -> Unused:
    """The table of positions that ESM-2's checkpoints have beside their rotation."""
    shape = (config["max_position_embeddings"], config["hidden_size"])
    return Unused(name=join(prefix, "embeddings.position_embeddings"), shapes=(("weight", shape),))
