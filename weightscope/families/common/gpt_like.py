"""A decoder laid out as GPT-2's: layer norms, attention with as many keys as queries, two matrices in the MLP."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from weightscope.components.attention.softmax_old import Attention
from weightscope.components.base import Repeat
from weightscope.components.decoder import Block, CausalLM, Decoder
from weightscope.components.embedding import Embedding
from weightscope.components.feed_forward.mlp import MLP
from weightscope.components.vision.projector import Projection
from weightscope.config import Config
from weightscope.families.common.parts import head, layer_norms
from weightscope.families.common.windows import alike
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import StorageItem
from weightscope.storage.linear import Linear


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """What a family calls the parts; a block without a second norm feeds both halves from the first, side by side.

    `positions` is the table of learned positions, `embedding_norm` the norm after the embeddings; `linear` is how the
    MLP's matrices lie on disk.
    """

    embedding: str = "wte"
    positions: str = ""
    embedding_norm: str = ""
    layers: str = "h"
    input_norm: str = "ln_1"
    second_norm: str = "ln_2"
    attention: str = "attn"
    mlp: str = "mlp"
    matrices: tuple[str, str] = ("c_fc", "c_proj")
    final_norm: str = "ln_f"
    linear: type[Linear] = Linear


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """The sizes and settings of a config, whatever their keys; `bias` is on the MLP, `norm_bias` on the norms.

    `offset` is the row of position 0. With `norms_sums` the norms follow the halves and act on the sums, and there is
    none at the end; `norms_weighted` says whether norms have weights at all. `narrow` is the width of embeddings that
    are narrower than the layers (OPT).
    """

    width: Size
    heads: Size
    depth: Size
    inner: Size
    eps: float
    activation: str
    kv_heads: Size | None = None
    positions: Size | None = None
    offset: int = 0
    bias: bool = True
    norm_bias: bool = True
    parallel: bool = False
    norms_weighted: bool = True
    norms_sums: bool = False
    final: bool = True
    narrow: Size | None = None


def decoder(
    config: Config,
    root: str,
    layout: Layout,
    shape: Shape,
    projections: tuple[StorageItem, ...],
    *,
    by_layer: Callable[[int], tuple[tuple[str, Any], ...]] = lambda _: (),
    attention: Mapping[str, Any] | None = None,
    heads: Mapping[str, Any] | None = None,
) -> CausalLM:
    """A GPT-like model; `attention` and `heads` are further settings, `by_layer` those in which layers differ."""
    width, count, blank, sums = shape.width, shape.heads, not layout.second_norm, shape.norms_sums
    norm = layer_norms(shape.eps, bias=shape.norm_bias, weighted=shape.norms_weighted)

    def block(settings: Mapping[str, Any]) -> Block:
        first = norm(layout.input_norm, Role.POST_ATTENTION_NORM if sums else Role.INPUT_NORM, width)
        second = norm(layout.second_norm, Role.POST_FEEDFORWARD_NORM if sums else Role.POST_ATTENTION_NORM, width)
        return Block(
            input_norm=None if sums else first,
            attention=Attention(
                name=layout.attention,
                items=projections,
                width=width,
                heads=count,
                kv_heads=shape.kv_heads or count,
                head_dim=width // count,
                **settings,
            ),
            attention_out_norm=first if sums else None,
            feed_forward_norm=None if sums or blank else second,
            feed_forward=MLP(
                name=layout.mlp,
                items=(
                    layout.linear(layout.matrices[0], Role.UP_PROJ, bias=shape.bias),
                    layout.linear(layout.matrices[1], Role.DOWN_PROJ, bias=shape.bias),
                ),
                width=width,
                inner=shape.inner,
                activation=shape.activation,
            ),
            feed_forward_out_norm=second if sums else None,
            parallel=shape.parallel or blank,
            norms_sums=sums,
        )

    return CausalLM(
        decoder=Decoder(
            name=root,
            embedding=Embedding(name=layout.embedding, rows=config["vocab_size"], width=shape.narrow or width),
            widen=_projection("project_in", Role.EMBEDDING_PROJ, shape.narrow, width),
            positions=_positions(layout, shape),
            embedding_norm=norm(layout.embedding_norm, Role.EMBEDDING_NORM, width) if layout.embedding_norm else None,
            blocks=tuple(
                Repeat(name=layout.layers, indices=layers, child=block({**(attention or {}), **dict(settings)}))
                for layers, settings in alike(range(shape.depth), by_layer)
            ),
            final_norm=norm(layout.final_norm, Role.FINAL_NORM, width) if shape.final else None,
            narrow=_projection("project_out", Role.OUTPUT_PROJ, width, shape.narrow),
            depth=shape.depth,
        ),
        head=head(config, root, width=shape.narrow or width, **(heads or {})),
    )


def _projection(name: str, role: Role, inputs: Size | None, outputs: Size | None) -> Projection | None:
    return Projection(name=name, inputs=inputs, outputs=outputs, bias=False, role=role) if inputs and outputs else None


def _positions(layout: Layout, shape: Shape) -> Embedding | None:
    if not layout.positions or shape.positions is None:
        return None
    rows = shape.positions + shape.offset if shape.offset else shape.positions
    return Embedding(
        name=layout.positions, role=Role.POSITION_EMBEDDING, rows=rows, width=shape.width, offset=shape.offset
    )
