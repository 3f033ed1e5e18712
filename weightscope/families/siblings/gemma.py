"""What the Gemmas share: the block with four norms, how layers share keys, the inputs of each layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from weightscope.components.attention import Attention, HeadNorms, Heads, Scores, Sees, SharedKeys
from weightscope.components.base import Component
from weightscope.components.decoder import Block
from weightscope.components.layer_inputs import LayerInputs
from weightscope.components.norm import Norm, RMSNorm
from weightscope.config import Config, Nullable
from weightscope.families.common import ROTARY, depth_of, rotary
from weightscope.families.common.parts import four_projections
from weightscope.roles import Role
from weightscope.sizes import Size, size
from weightscope.storage.linear import Linear

GEMMA = ROTARY | {
    "vocab_size": 256000, "hidden_size": 3072, "intermediate_size": 24576, "num_hidden_layers": 28,
    "num_attention_heads": 16, "num_key_value_heads": Nullable(int, 16), "head_dim": 256,
    "hidden_act": "gelu_pytorch_tanh", "rms_norm_eps": 1e-6, "max_position_embeddings": 8192,
    "tie_word_embeddings": True, "attention_bias": False,
}  # fmt: skip
GEMMA2 = GEMMA | {
    "hidden_size": 2304, "intermediate_size": 9216, "num_hidden_layers": 26, "num_attention_heads": 8,
    "num_key_value_heads": Nullable(int, 4), "hidden_activation": "gelu_pytorch_tanh",
    "query_pre_attn_scalar": Nullable(int, 256), "sliding_window": Nullable(int, 4096), "layer_types": Nullable(list),
    "attn_logit_softcapping": Nullable(float, 50.0), "final_logit_softcapping": Nullable(float, 30.0),
}  # fmt: skip

Sharing = Literal["own", "gives", "takes"]


def sandwich(
    norm: Callable[[str, Role, Size], Norm],
    width: Size,
    *,
    attention: Component,
    feed_forward: Component,
    after: tuple[Component, ...] = (),
) -> Block:
    """A block with norms before and after each half."""
    return Block(
        input_norm=norm("input_layernorm", Role.INPUT_NORM, width),
        attention=attention,
        attention_out_norm=norm("post_attention_layernorm", Role.POST_ATTENTION_NORM, width),
        feed_forward_norm=norm("pre_feedforward_layernorm", Role.PRE_FEEDFORWARD_NORM, width),
        feed_forward=feed_forward,
        feed_forward_out_norm=norm("post_feedforward_layernorm", Role.POST_FEEDFORWARD_NORM, width),
        after=after,
    )


def sharing(config: Config, kinds: list[str]) -> list[Sharing]:
    """Who has keys and values of its own: the last `num_kv_shared_layers` take those of the last of their kind.

    Raises:
        ConfigError: a kind of layer has none that could give.
    """
    first = len(kinds) - config["num_kv_shared_layers"]
    modes: list[Sharing] = ["own" if layer < first else "takes" for layer in range(len(kinds))]
    for kind in set(kinds[first:]) if first < len(kinds) else ():
        givers = [layer for layer in range(max(first, 0)) if kinds[layer] == kind]
        if not givers:
            raise config.error(f"num_kv_shared_layers leaves no {kind} layer with its own keys")
        modes[givers[-1]] = "gives"
    return modes


def shared_attention(
    config: Config, heads: Heads, kind: str, mode: Sharing, *, sees: Sees, keys_are_values: bool = False
) -> Attention:
    """Attention with normed queries, keys and values, its scores not scaled, its rotation that of its kind.

    Layers that take their keys need none, and yet some checkpoints hold them.
    """
    bias, eps, unused = config["attention_bias"], config["rms_norm_eps"], mode == "takes"
    q, k, v, o = four_projections(qkv_bias=bias, o_bias=bias)
    if unused:
        k, v = (Linear(item.name, *item.roles, bias=bias, optional=True) for item in (k, v))
    return Attention(
        name="self_attn",
        projections=(q, k, o) if keys_are_values else (q, k, v, o),
        width=config["hidden_size"],
        heads=heads,
        norms=HeadNorms(
            query=RMSNorm(name="q_norm", role=Role.Q_NORM, size=heads.size, eps=eps),
            key=RMSNorm(name="k_norm", role=Role.K_NORM, size=heads.size, eps=eps, optional=unused),
            value=RMSNorm(name="v_norm", role=Role.V_NORM, size=heads.size, eps=eps, weighted=False),
        ),
        positions=rotary(config, heads.size, layers=kind),
        sees=sees,
        scores=Scores(scale=1.0),
        shares=None if mode == "own" else SharedKeys(group=kind, takes=unused),
    )


def layer_inputs(config: Config) -> LayerInputs:
    """What each layer gets of the tokens besides."""
    return LayerInputs(
        rows=config["vocab_size_per_layer_input"],
        width=config["hidden_size"],
        depth=config["num_hidden_layers"],
        inner=config["hidden_size_per_layer_input"],
        eps=config["rms_norm_eps"],
    )


def by_layer(config: Config, key: str, value: object) -> list[Any]:
    """A number for each layer: the same for all, or a list of them.

    Raises:
        ConfigError: it is neither.
    """
    depth = depth_of(config)
    values = value if isinstance(value, list) else [value] * depth
    if len(values) != depth or not all(isinstance(n, int | float) and n >= 0 for n in values):
        raise config.error(f"{key!r} is {value!r:.60}, neither a number nor one for each of {depth:,} layers")
    return [size(n) if isinstance(n, int) else n for n in values]
