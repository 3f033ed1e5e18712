"""What models after GPT-2 share: an MLP four times as wide unless told otherwise, and a table of positions."""

from __future__ import annotations

from weightscope.components.embedding import Embedding
from weightscope.components.feed_forward.mlp import MLP
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.linear import Linear


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
