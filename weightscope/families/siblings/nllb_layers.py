"""Layers of NLLB's mixture: every few of them have experts, of which each token has two."""

from __future__ import annotations

from typing import Any

from weightscope.components.base import Component, Repeat
from weightscope.components.decoder import Block
from weightscope.components.feed_forward.moe import MixtureOfExperts
from weightscope.components.feed_forward.routing import Routing
from weightscope.components.halves import SOURCE, CrossBlock
from weightscope.config import Config
from weightscope.families.common import depth_of, numbered
from weightscope.families.common.parts import mlp
from weightscope.families.siblings.bart import NORM, Kind, attention
from weightscope.roles import Role
from weightscope.sizes import Size

MIXTURE: dict[str, Any] = {
    "num_experts": 128, "encoder_sparse_step": 4, "decoder_sparse_step": 4, "router_bias": False,
    "router_dtype": "float32", "second_expert_policy": "all", "moe_token_dropout": 0.2,
    "moe_eval_capacity_token_fraction": 1.0,
}  # fmt: skip
# Of float32, below which the sum of two weights does not go.
EPSILON = 2.0**-23


def layers(config: Config, name: str, kind: Kind) -> tuple[Repeat, ...]:
    """Those of the encoder or the decoder: each `{name}_sparse_step`th has experts, none where that is 0."""
    del kind
    width, step = config["d_model"], int(config[f"{name}_sparse_step"])

    def layer(number: int) -> Block:
        sparse = step > 0 and (number + 1) % step == 0
        norm = NORM("self_attn_layer_norm", Role.POST_ATTENTION_NORM, width)
        last = NORM("ff_layer_norm", Role.POST_FEEDFORWARD_NORM, width)
        fed, own = feed_forward(config, name, sparse=sparse), attention(config, name, "self_attn")
        if name == "encoder":
            return Block(input_norm=norm, attention=own, feed_forward_norm=last, feed_forward=fed)
        return CrossBlock(
            input_norm=norm,
            attention=own,
            cross_norm=NORM("cross_attention_layer_norm", Role.CROSS_NORM, width),
            cross=attention(config, name, "cross_attention", SOURCE),
            feed_forward_norm=last,
            feed_forward=fed,
        )

    return numbered("layers", depth_of(config, f"{name}_layers"), layer)


def feed_forward(config: Config, name: str, *, sparse: bool) -> Component:
    """Two matrices; or experts of two, whose outputs are made smaller as by the dropout that they were trained with."""
    width, inner, activation = config["d_model"], config[f"{name}_ffn_dim"], config["activation_function"]
    dense = mlp(width, inner, activation, name="" if sparse else "ffn", names=("fc1", "fc2"), bias=True)
    if not sparse:
        return dense
    return MixtureOfExperts(
        name="ffn",
        width=width,
        experts=config["num_experts"],
        chosen=Size(2),
        expert=dense,
        routing=Routing(added=0.0, least=EPSILON, scale=1 - config["moe_token_dropout"]),
        router="router.classifier",
        router_bias=config["router_bias"],
        number_prefix="expert_",
    )
