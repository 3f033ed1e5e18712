"""A decoder of equal, sequential blocks under any names: what models differ in that are Llama under other words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from weightscope.components.attention.attend_old import Alibi
from weightscope.components.attention.rope import Rope
from weightscope.components.attention.softmax_old import Attention
from weightscope.components.base import Component, Repeat
from weightscope.components.decoder import Block, CausalLM, Decoder
from weightscope.components.embedding import Classifier, Embedding, Head
from weightscope.components.feed_forward.mlp import GatedMLP
from weightscope.config import Config
from weightscope.errors import UndeclaredError
from weightscope.families.common.dims import depth_of
from weightscope.families.common.parts import layer_norms, rms_norms
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import StorageItem


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """What a published layout calls its parts below the root; `norms` are those before each half of a block."""

    embedding: str
    layers: str
    final_norm: str
    norms: tuple[str, str] = ("input_layernorm", "post_attention_layernorm")


def attention(
    name: str,
    *items: StorageItem,
    width: Size,
    heads: Size,
    kv_heads: Size | None = None,
    head_dim: Size | None = None,
    rope: Rope | None,
) -> Attention:
    """Rotary attention, or with ALiBi where there is no rotation; heads share the width unless told otherwise."""
    return Attention(
        name=name,
        items=items,
        width=width,
        heads=heads,
        kv_heads=kv_heads or heads,
        head_dim=head_dim or width // heads,
        rope=rope,
        alibi=Alibi(heads=heads) if rope is None else None,
    )


def swiglu(name: str, *items: StorageItem, width: Size, inner: Size) -> GatedMLP:
    """down(silu(gate(x)) · up(x)), however it is stored."""
    return GatedMLP(name=name, items=items, width=width, inner=inner, activation="silu")


def sequential(
    config: Config,
    root: str,
    names: Names,
    *,
    width: Size,
    eps: float,
    vocabulary: Size | None = None,
    depth: Size | None = None,
    rms: bool = True,
    attention: Component,
    feed_forward: Component,
    head: Head | Classifier | None,
    embedding_scale: float = 1.0,
    extras: tuple[Component, ...] = (),
    refused: str = "",
) -> CausalLM:
    """`num_hidden_layers` blocks that add `attention` and `feed_forward`, each behind a norm; a norm at the end.

    Norms are RMS norms, or layer norms with biases. `vocabulary` and `depth` are for configs with other keys.
    """
    depth = depth_of(config) if depth is None else depth
    norm = rms_norms(eps) if rms else layer_norms(eps)
    block = Block(
        input_norm=norm(names.norms[0], Role.INPUT_NORM, width),
        attention=attention,
        feed_forward_norm=norm(names.norms[1], Role.POST_ATTENTION_NORM, width),
        feed_forward=feed_forward,
    )
    return CausalLM(
        decoder=Decoder(
            name=root,
            embedding=Embedding(
                name=names.embedding, rows=vocabulary or config["vocab_size"], width=width, scale=embedding_scale
            ),
            blocks=(Repeat(name=names.layers, indices=range(depth), child=block),),
            final_norm=norm(names.final_norm, Role.FINAL_NORM, width),
            depth=depth,
        ),
        head=head,
        extras=extras,
        refused=refused,
    )


def refuse(config: Config, model: str, unset: tuple[str, ...]) -> None:
    """Refuse a config that sets one of these keys to anything but null, false or 0, by name."""
    for key in unset:
        if config.get(key):
            raise UndeclaredError(f"{model} with {key} is not declared", where=config.source)


def require(config: Config, model: str, declared: Mapping[str, Any]) -> None:
    """Refuse a config that has another value than the declared one, by name."""
    for key, value in declared.items():
        if config.get(key) != value:
            raise UndeclaredError(f"{model} with {key} {config.get(key)!r:.60} is not declared", where=config.source)
