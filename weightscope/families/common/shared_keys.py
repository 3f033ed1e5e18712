"""Layers whose kinds differ in more than a window, and whose last ones take the keys of earlier ones (Gemma 3n, 4)."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from math import sqrt
from typing import Any, Literal

from msgspec.structs import replace

from weightscope.components.attention.rope import Rope
from weightscope.components.attention.softmax_old import Attention
from weightscope.components.base import Component, Repeat
from weightscope.components.decoder import Block, CausalLM, Decoder
from weightscope.components.embedding import Embedding
from weightscope.components.layer_inputs import LayerInputs
from weightscope.components.norm import RMSNorm
from weightscope.config import Config
from weightscope.errors import UndeclaredError
from weightscope.families.common.dims import depth_of
from weightscope.families.common.parts import four_projections, gated_mlp, head, rms_norms
from weightscope.families.common.windows import alike
from weightscope.roles import Role
from weightscope.sizes import Size, size
from weightscope.storage.linear import Linear

SLIDING, FULL = "sliding_attention", "full_attention"
Sharing = Literal["own", "gives", "takes"]


def layer_kinds(config: Config, slides: Callable[[int], bool]) -> list[str]:
    """`layer_types`, or where it is absent what `slides` says of each layer."""
    depth, types = depth_of(config), config.get("layer_types")
    if types is None:
        return [SLIDING if slides(layer) else FULL for layer in range(depth)]
    if not isinstance(types, list) or len(types) != depth or not set(types) <= {SLIDING, FULL}:
        raise config.error(f"layer_types does not name {depth:,} layers, as num_hidden_layers says")
    return list(types)


def sharing(config: Config, kinds: list[str]) -> list[Sharing]:
    """Who has keys and values of its own: the last `num_kv_shared_layers` take those of the last of their kind."""
    first = len(kinds) - config["num_kv_shared_layers"]
    modes: list[Sharing] = ["own" if layer < first else "takes" for layer in range(len(kinds))]
    for kind in set(kinds[first:]) if first < len(kinds) else ():
        givers = [layer for layer in range(max(first, 0)) if kinds[layer] == kind]
        if not givers:
            raise config.error(f"num_kv_shared_layers leaves no {kind} layer that has keys of its own")
        modes[givers[-1]] = "gives"
    return modes


def shared_attention(
    config: Config, kind: str, mode: Sharing, *, head_dim: Size, kv_heads: Size, rope: Rope, **settings: Any
) -> Attention:
    """Attention with normed queries, keys and values, its scores not scaled.

    Layers that take their keys need none, and yet some checkpoints hold them.
    """
    bias, eps, unused = config["attention_bias"], config["rms_norm_eps"], mode == "takes"
    q, k, v, o = four_projections(qkv_bias=bias, o_bias=bias)
    if unused:
        k, v = (Linear(item.name, *item.roles, bias=bias, optional=True) for item in (k, v))
    return Attention(
        name="self_attn",
        items=(q, k, o) if settings.get("keys_are_values") else (q, k, v, o),
        width=config["hidden_size"],
        heads=config["num_attention_heads"],
        kv_heads=kv_heads,
        head_dim=head_dim,
        rope=rope,
        norms=(
            RMSNorm(name="q_norm", role=Role.Q_NORM, size=head_dim, eps=eps),
            RMSNorm(name="k_norm", role=Role.K_NORM, size=head_dim, eps=eps, optional=unused),
            RMSNorm(name="v_norm", role=Role.V_NORM, size=head_dim, eps=eps, weighted=False),
        ),
        window=int(config["sliding_window"]) if kind == SLIDING else None,
        scale=1.0,
        share="" if mode == "own" else kind,
        takes=unused,
        **settings,
    )


def heads_of(config: Config, layer: int, kind: str) -> tuple[Size, Size]:
    """A layer's width of heads and number of keys: those of full_attention have keys of their own in the config.

    transformers 5 writes what differs layer by layer, as `per_layer_config`.
    """
    head_dim, kv_heads, by_layer = config["head_dim"], config["num_key_value_heads"], config.get("per_layer_config")
    if by_layer is None:
        if kind == SLIDING or config.get("global_head_dim") is None:
            return head_dim, kv_heads
        others = config["num_global_key_value_heads"] if config["attention_k_eq_v"] else None
        return config["global_head_dim"], kv_heads if others is None else others
    own = by_layer.get(str(layer), {})
    if not isinstance(own, dict) or not set(own) <= {"head_dim", "num_key_value_heads"}:
        raise UndeclaredError(f"per_layer_config with {own!r:.60} is not declared", where=config.source)
    found = (own.get("head_dim", head_dim), own.get("num_key_value_heads", kv_heads))
    if not all(isinstance(value, int) and value > 0 for value in found):
        raise config.error(f"per_layer_config of layer {layer} is {own!r:.60}, not whole numbers")
    return size(found[0]), size(found[1])


def by_layer(config: Config, key: str, value: object) -> list[Any]:
    """A number for each layer: the same for all, or a list of them."""
    depth = depth_of(config)
    values = value if isinstance(value, list) else [value] * depth
    if len(values) != depth or not all(isinstance(n, int | float) and n >= 0 for n in values):
        raise config.error(f"{key!r} is {value!r:.60}, neither a number nor one for each of {depth:,} layers")
    return [size(n) if isinstance(n, int) else n for n in values]


def sandwich(config: Config, attention: Attention, inner: Size, *, sparsity: float = 0.0, **settings: Any) -> Block:
    """A block with norms before and after each half."""
    norm, width = rms_norms(config["rms_norm_eps"]), config["hidden_size"]
    feed_forward = gated_mlp(config, "mlp", inner=inner, activation=config["hidden_activation"])
    return Block(
        input_norm=norm("input_layernorm", Role.INPUT_NORM, width),
        attention=attention,
        attention_out_norm=norm("post_attention_layernorm", Role.POST_ATTENTION_NORM, width),
        feed_forward_norm=norm("pre_feedforward_layernorm", Role.PRE_FEEDFORWARD_NORM, width),
        feed_forward=replace(feed_forward, sparsity=float(sparsity)),
        feed_forward_out_norm=norm("post_feedforward_layernorm", Role.POST_FEEDFORWARD_NORM, width),
        **settings,
    )


def decoder(
    config: Config,
    root: str,
    kinds: list[str],
    block: Callable[..., Component],
    *,
    inputs: bool = True,
    further: Callable[[int], tuple[Hashable, ...]] = lambda _: (),
    **settings: Any,
) -> CausalLM:
    """A decoder of layers of these kinds; with `inputs` each gets something of the tokens besides.

    `block` is told a layer's kind, mode, width of heads, number of keys, and what `further` says of it.
    """
    width, eps, modes = config["hidden_size"], config["rms_norm_eps"], sharing(config, kinds)

    def layer_inputs() -> LayerInputs:
        rows, inner = config["vocab_size_per_layer_input"], config["hidden_size_per_layer_input"]
        return LayerInputs(rows=rows, width=width, depth=config["num_hidden_layers"], inner=inner, eps=eps)

    return CausalLM(
        decoder=Decoder(
            name=root,
            embedding=Embedding(name="embed_tokens", rows=config["vocab_size"], width=width, scale=sqrt(width)),
            layer_inputs=layer_inputs() if inputs else None,
            blocks=tuple(
                Repeat(name="layers", indices=layers, child=block(*kind))
                for layers, kind in alike(
                    range(len(kinds)), lambda i: (kinds[i], modes[i], *heads_of(config, i, kinds[i]), *further(i))
                )
            ),
            final_norm=rms_norms(eps)("norm", Role.FINAL_NORM, width),
            depth=config["num_hidden_layers"],
            **settings,
        ),
        head=head(config, root, softcap=config["final_logit_softcapping"]),
    )
