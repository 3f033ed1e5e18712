"""Parts under the names that most families give them: projections, attention, MLPs, norms."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from weightscope.components.attention.norms import NO_NORMS, HeadNorms, QueryKeyNorms
from weightscope.components.attention.positions import Positions
from weightscope.components.attention.scores import PLAIN, Scores
from weightscope.components.attention.sees import CAUSAL, Sees, Segments
from weightscope.components.attention.softmax import Attention
from weightscope.components.base import Component
from weightscope.components.decoder import Block
from weightscope.components.feed_forward.mlp import MLP, GatedMLP
from weightscope.components.norm import Norm
from weightscope.config import Config
from weightscope.families.common.dims import Dims
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import StorageItem
from weightscope.storage.linear import Linear


def four_projections(*, qkv_bias: bool = False, o_bias: bool = False) -> tuple[Linear, ...]:
    """q, k, v and o, each a matrix of its own."""
    return (
        Linear("q_proj", Role.Q_PROJ, bias=qkv_bias),
        Linear("k_proj", Role.K_PROJ, bias=qkv_bias),
        Linear("v_proj", Role.V_PROJ, bias=qkv_bias),
        Linear("o_proj", Role.O_PROJ, bias=o_bias),
    )


def linears(names: Mapping[str, Role], *, bias: bool = False) -> tuple[StorageItem, ...]:
    """A matrix for each role, under the names that they have on disk."""
    return tuple(Linear(name, role, bias=bias) for name, role in names.items())


def pre_norm_block(
    norm: Callable[[str, Role, Size], Norm], width: Size, *, attention: Component, feed_forward: Component
) -> Block:
    """Llama's: x + attention(input_layernorm(x)), then x + feed_forward(post_attention_layernorm(x))."""
    return Block(
        input_norm=norm("input_layernorm", Role.INPUT_NORM, width),
        attention=attention,
        feed_forward_norm=norm("post_attention_layernorm", Role.POST_ATTENTION_NORM, width),
        feed_forward=feed_forward,
    )


def self_attention(
    s: Dims,
    projections: tuple[StorageItem, ...],
    *,
    name: str = "self_attn",
    positions: Positions | None = None,
    sees: Sees | Segments = CAUSAL,
    norms: QueryKeyNorms = NO_NORMS,
    scores: Scores = PLAIN,
    clip: float | None = None,
    out_norm: Norm | None = None,
    gates_heads: bool = False,
) -> Attention:
    """Attention as wide and with as many heads as the config's dimensions say."""
    return Attention(
        name=name,
        projections=projections,
        width=s.width,
        heads=s.heads,
        positions=positions,
        sees=sees,
        norms=norms,
        scores=scores,
        clip=clip,
        out_norm=out_norm,
        gates_heads=gates_heads,
    )


def head_norms(
    norm: Callable[[str, Role, Size], Norm], head_dim: Size, names: tuple[str, str] = ("q_norm", "k_norm")
) -> HeadNorms:
    """On the query and the key of each head."""
    return HeadNorms(query=norm(names[0], Role.Q_NORM, head_dim), key=norm(names[1], Role.K_NORM, head_dim))


def gated_mlp(
    config: Config,
    name: str,
    *,
    inner: Size | None = None,
    bias: bool = False,
    activation: str | None = None,
    names: tuple[str, str, str] = ("gate_proj", "up_proj", "down_proj"),
    gate_scale: float = 1.0,
    out_scale: float = 1.0,
    sparsity: float = 0.0,
    norm: Norm | None = None,
) -> GatedMLP:
    """Three matrices under the names that they have on disk, `intermediate_size` wide unless told otherwise.

    `gate_scale`, `out_scale`, `sparsity` and `norm` are those of `GatedMLP`.
    """
    roles = (Role.GATE_PROJ, Role.UP_PROJ, Role.DOWN_PROJ)
    return GatedMLP(
        name=name,
        items=tuple(Linear(spelled, role, bias=bias) for spelled, role in zip(names, roles, strict=True)),
        width=config["hidden_size"],
        inner=config["intermediate_size"] if inner is None else inner,
        activation=activation or config["hidden_act"],
        gate_scale=gate_scale,
        out_scale=out_scale,
        sparsity=sparsity,
        norm=norm,
    )


def mlp(
    width: Size,
    inner: Size | None,
    activation: str,
    *,
    name: str = "mlp",
    names: tuple[str, str] = ("up_proj", "down_proj"),
    bias: bool = False,
    stored: type[Linear] = Linear,
    learned: Component | None = None,
) -> MLP:
    """Two matrices under the names that they have on disk, `stored` as Linear or Conv1D.

    They are four times as wide as the model where `inner` is None. `learned` is an activation with weights.
    """
    return MLP(
        name=name,
        items=(stored(names[0], Role.UP_PROJ, bias=bias), stored(names[1], Role.DOWN_PROJ, bias=bias)),
        width=width,
        inner=width * 4 if inner is None else inner,
        activation=activation,
        learned=learned,
    )


def fused_gated_mlp(
    config: Config,
    name: str,
    *,
    inner: Size | None = None,
    bias: bool = False,
    activation: str | None = None,
    names: tuple[str, str] = ("gate_up_proj", "down_proj"),
) -> GatedMLP:
    """Two matrices; rows of the first are all gates, then all ups."""
    return GatedMLP(
        name=name,
        items=(
            Linear(names[0], Role.GATE_PROJ, Role.UP_PROJ, bias=bias),
            Linear(names[1], Role.DOWN_PROJ, bias=bias),
        ),
        width=config["hidden_size"],
        inner=config["intermediate_size"] if inner is None else inner,
        activation=activation or config["hidden_act"],
    )
