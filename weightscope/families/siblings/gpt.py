"""What models after GPT-2 share: its keys, an MLP of two matrices, a table of positions, causal masks."""

from __future__ import annotations

from typing import Any

from weightscope.components.embedding import Embedding
from weightscope.components.feed_forward import MLP
from weightscope.config import Nullable
from weightscope.families.common import DECODER
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.linear import Linear
from weightscope.storage.plain import Buffer

GPT: dict[str, Any] = DECODER | {
    "vocab_size": 50257, "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5, "tie_word_embeddings": True,
}  # fmt: skip
# GPT-2's keys, which GPT-BigCode, GPT-J and CodeGen have too, and what they call them otherwise.
GPT2 = GPT | {
    "n_positions": 1024, "n_embd": 768, "n_layer": 12, "n_head": 12, "n_inner": Nullable(int),
}  # fmt: skip
GPT2_NAMES = {
    "hidden_size": "n_embd", "max_position_embeddings": "n_positions", "num_attention_heads": "n_head",
    "num_hidden_layers": "n_layer",
}  # fmt: skip


def two_matrices(
    width: Size,
    inner: Size | None,
    activation: str,
    *,
    name: str = "mlp",
    names: tuple[str, str] = ("c_fc", "c_proj"),
    bias: bool = True,
    stored: type[Linear] = Linear,
) -> MLP:
    """down(act(up(x))), the matrices under the names that they have on disk, `stored` as Linear or Conv1D."""
    return MLP(
        name=name,
        items=(stored(names[0], Role.UP_PROJ, bias=bias), stored(names[1], Role.DOWN_PROJ, bias=bias)),
        width=width,
        inner=width * 4 if inner is None else inner,
        activation=activation,
    )


def learned_positions(name: str, rows: Size, width: Size, *, offset: int = 0) -> Embedding:
    """A vector for each of `rows` positions, after `offset` rows that stand for none."""
    return Embedding(
        name=name,
        role=Role.POSITION_EMBEDDING,
        rows=rows + offset if offset else rows,
        width=width,
        offset=offset,
    )


def causal_masks(positions: Size) -> tuple[Buffer, Buffer]:
    """The causal mask and the number for masked scores that old checkpoints carry in every layer."""
    return (
        Buffer("bias", Role.CAUSAL_MASK, (Size(1), Size(1), positions, positions)),
        Buffer("masked_bias", Role.CAUSAL_MASK, ()),
    )
