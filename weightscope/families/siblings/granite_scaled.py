"""Granite's attention, block and model: what their numbers scale. Source: `GraniteConfig` of transformers."""

from __future__ import annotations

from collections.abc import Callable

from weightscope.components.attention import Attention, Rope, Scores, Sees
from weightscope.components.base import Component
from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config
from weightscope.families.common import Dims, Output, causal_lm, rms_norms, token_embedding
from weightscope.families.common.numbers import divisor, number
from weightscope.families.common.parts import four_projections, self_attention
from weightscope.roles import Role


def granite_attention(
    config: Config, s: Dims, *, positions: Rope | None, sees: Sees, sinks: str | None = None
) -> Attention:
    """Scores are multiplied by `attention_multiplier`; `sinks` is what they are called, where there are any."""
    bias = config["attention_bias"]
    return self_attention(
        s,
        four_projections(qkv_bias=bias, o_bias=bias),
        positions=positions,
        sees=sees,
        scores=Scores(scale=config["attention_multiplier"], sinks=sinks),
    )


def granite_block(config: Config, s: Dims, *, attention: Component, feed_forward: Component) -> Block:
    """A norm before each half; what a half adds is multiplied by `residual_multiplier`."""
    norm = rms_norms(config["rms_norm_eps"])
    return Block(
        input_norm=norm("input_layernorm", Role.INPUT_NORM, s.width),
        attention=attention,
        feed_forward_norm=norm("post_attention_layernorm", Role.POST_ATTENTION_NORM, s.width),
        feed_forward=feed_forward,
        residual_scale=number(config, "residual_multiplier"),
    )


def granite_lm(
    config: Config, root: str, s: Dims, layer: Callable[[int], Block], *, output: Output | None = None
) -> CausalLM:
    """Embeddings are multiplied by `embedding_multiplier`, logits divided by `logits_scaling` unless told otherwise."""
    return causal_lm(
        config,
        root,
        layer,
        embedding=token_embedding(config, scale=number(config, "embedding_multiplier")),
        final_norm=rms_norms(config["rms_norm_eps"])("norm", Role.FINAL_NORM, s.width),
        output=output or Output(scale=1 / divisor(config, "logits_scaling")),
    )
