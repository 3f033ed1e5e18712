"""A decoder whose layers are of several kinds, and which layer is which."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from weightscope.components.attention.softmax_old import Attention
from weightscope.components.base import Component, Repeat
from weightscope.components.decoder import CausalLM, Decoder
from weightscope.components.embedding import Embedding
from weightscope.components.feed_forward.mlp import MLP, GatedMLP
from weightscope.components.feed_forward.moe import MixtureOfExperts
from weightscope.components.feed_forward.routing import Routing
from weightscope.components.norm import RMSNorm
from weightscope.config import Config
from weightscope.errors import UndeclaredError
from weightscope.families.common.dims import depth_of
from weightscope.families.common.mixtures import IN_MEMORY, stacked_experts
from weightscope.families.common.parts import four_projections, head
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import StorageItem
from weightscope.storage.stacked import Stacked

# The kinds under the names that transformers 5 and earlier releases give them.
KINDS = {
    "linear_attention": "linear_attention",
    "mamba": "linear_attention",
    "full_attention": "full_attention",
    "attention": "full_attention",
}


def kinds_of(
    config: Config, default: Callable[[int], str], *, key: str = "layer_types", known: Mapping[str, str] = KINDS
) -> list[str]:
    """The kind of each layer: what the list under `key` says, or else `default` of its number.

    Raises:
        ConfigError: the list is of another length than the model is deep.
        UndeclaredError: a kind of layer that is not among the known ones, by name.
    """
    depth, listed = depth_of(config), config.get(key)
    if listed is None:
        return [default(layer) for layer in range(depth)]
    if not isinstance(listed, list) or len(listed) != depth:
        raise config.error(f"{key} does not name {depth:,} layers, as num_hidden_layers says")
    for kind in listed:
        if not isinstance(kind, str) or kind not in known:
            raise UndeclaredError(f"layers of the kind {kind!r:.60} are not declared", where=config.source)
    return [known[kind] for kind in listed]


def every(config: Config, key: str, default: int) -> Callable[[int], str]:
    """Attention in the last of each `key` layers, where the config says no more than that."""
    interval = config.get(key) or default
    return lambda layer: "linear_attention" if (layer + 1) % interval else "full_attention"


def number(config: Config, key: str) -> float:
    """A number that may not be null.

    Raises:
        ConfigError: it is null.
    """
    value = config[key]
    if value is None:
        raise config.error(f"{key!r} is null, not a number")
    return float(value)


def hybrid(
    config: Config,
    root: str,
    kinds: list[Any],
    block: Callable[[Any], Component],
    *,
    eps: float,
    embedding: str = "embed_tokens",
    final_norm: str = "norm",
    offset: float = 0.0,
    embedding_scale: float = 1.0,
    **heads: Any,
) -> CausalLM:
    """One repeated block for each kind of layer; embedding and final norm under the names that they have on disk.

    `embedding_scale` multiplies the embeddings; `heads` are further settings of the head.
    """
    width = config["hidden_size"]
    blocks = tuple(
        Repeat(name="layers", indices=[layer for layer, its in enumerate(kinds) if its == kind], child=block(kind))
        for kind in dict.fromkeys(kinds)
    )
    return CausalLM(
        decoder=Decoder(
            name=root,
            embedding=Embedding(name=embedding, rows=config["vocab_size"], width=width, scale=embedding_scale),
            blocks=blocks,
            final_norm=RMSNorm(name=final_norm, role=Role.FINAL_NORM, size=width, eps=eps, offset=offset),
            depth=Size(len(kinds), "num_hidden_layers"),
        ),
        head=head(config, root, **heads),
    )


def attention(
    config: Config, head_dim: Size, items: tuple[StorageItem, ...] | None = None, *, name: str = "self_attn", **own: Any
) -> Attention:
    """Grouped-query attention as wide as the config says, with what the family adds; no bias unless `items` have it."""
    heads = config["num_attention_heads"]
    return Attention(
        name=name,
        items=items or four_projections(),
        width=config["hidden_size"],
        heads=heads,
        kv_heads=config["num_key_value_heads"] or heads,
        head_dim=head_dim,
        **own,
    )


def mixture(
    config: Config,
    name: str,
    expert: GatedMLP | MLP,
    routing: Routing,
    *,
    stacked: bool,
    count: str = "num_experts",
    items: tuple[Stacked, ...] = IN_MEMORY,
    **own: Any,
) -> MixtureOfExperts:
    """`num_experts_per_tok` of the experts that the config has under the key `count`."""
    experts, chosen = config[count], config["num_experts_per_tok"]
    return MixtureOfExperts(
        name=name,
        width=config["hidden_size"],
        experts=experts,
        chosen=chosen,
        expert=expert,
        routing=routing,
        stacked=stacked_experts(expert, experts, chosen, items=items) if stacked else None,
        **own,
    )
