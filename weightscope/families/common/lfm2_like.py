"""A decoder laid out as LFM2's: short convolutions among attention whose heads are normed before they are turned."""

from __future__ import annotations

from collections.abc import Callable

from weightscope.components.base import Component
from weightscope.components.decoder import Block, CausalLM
from weightscope.components.norm import RMSNorm
from weightscope.components.recurrent.convolution import ShortConvolution
from weightscope.config import Config
from weightscope.families.common.hybrid import attention, hybrid, kinds_of
from weightscope.families.common.rotary import rotary
from weightscope.roles import Role
from weightscope.storage.linear import Linear
from weightscope.storage.plain import Plain

MIXERS = {"conv": "conv", "full_attention": "full_attention"}
HEAD_NORMS = (("q_layernorm", Role.Q_NORM), ("k_layernorm", Role.K_NORM))


def decoder(
    config: Config, root: str, feed_forward: Callable[[int], Component], default: Callable[[int], str]
) -> CausalLM:
    """`default` says what mixes the tokens of a layer where `layer_types` does not."""
    width, eps = config["hidden_size"], config["norm_eps"]

    def block(kind: tuple[str, Component]) -> Block:
        return Block(
            input_norm=RMSNorm(name="operator_norm", role=Role.INPUT_NORM, size=width, eps=eps),
            attention=_attention(config) if kind[0] == "full_attention" else _convolution(config),
            feed_forward_norm=RMSNorm(name="ffn_norm", role=Role.PRE_FEEDFORWARD_NORM, size=width, eps=eps),
            feed_forward=kind[1],
        )

    kinds = [(mixer, feed_forward(layer)) for layer, mixer in enumerate(kinds_of(config, default, known=MIXERS))]
    return hybrid(config, root, kinds, block, eps=eps, final_norm="embedding_norm")


def _convolution(config: Config) -> Component:
    bias = config["conv_bias"]
    return ShortConvolution(
        name="conv",
        items=(
            Linear("in_proj", Role.B_PROJ, Role.C_PROJ, Role.IN_PROJ, bias=bias),
            Plain("conv", Role.CONVOLUTION, bias=bias),
            Linear("out_proj", Role.OUT_PROJ, bias=bias),
        ),
        width=config["hidden_size"],
        kernel=config["conv_L_cache"],
    )


def _attention(config: Config) -> Component:
    head_dim, eps = config["head_dim"] or config["hidden_size"] // config["num_attention_heads"], config["norm_eps"]
    names = (
        ("q_proj", Role.Q_PROJ),
        ("k_proj", Role.K_PROJ),
        ("v_proj", Role.V_PROJ),
        ("out_proj", Role.O_PROJ),
    )
    return attention(
        config,
        head_dim,
        tuple(Linear(name, role) for name, role in names),
        rope=rotary(config, head_dim),
        norms=tuple(RMSNorm(name=name, role=role, size=head_dim, eps=eps) for name, role in HEAD_NORMS),
    )
