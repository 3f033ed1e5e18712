"""A decoder laid out as Qwen3-Next's: gated delta nets, and among them attention with a gate on what it puts out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from weightscope.components.base import Component, Repeat
from weightscope.components.decoder import Block, CausalLM
from weightscope.components.norm import RMSNorm
from weightscope.components.prediction.next_tokens import PredictionPart
from weightscope.components.recurrent.gated_delta import GatedDeltaNet
from weightscope.components.recurrent.gated_norm import GatedRMSNorm
from weightscope.config import Config, Nullable
from weightscope.errors import UndeclaredError
from weightscope.families.common.hybrid import attention, every, hybrid, kinds_of
from weightscope.families.common.rotary import rotary
from weightscope.roles import Role
from weightscope.storage.linear import Linear
from weightscope.storage.plain import Plain

DELTA: dict[str, Any] = {
    "hidden_act": "silu",
    "max_position_embeddings": 32768,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0,
    "partial_rotary_factor": 0.25,
    "tie_word_embeddings": False,
    "attention_bias": False,
    "attn_output_gate": True,
    "head_dim": 256,
    "linear_conv_kernel_dim": 4,
    "linear_key_head_dim": 128,
    "linear_value_head_dim": 128,
    "linear_num_key_heads": 16,
    "linear_num_value_heads": 32,
    "full_attention_interval": Nullable(int, 4),
    "mtp_num_hidden_layers": Nullable(int, 0),
}

# Qwen 3.5's projections: Qwen3-Next's taken apart.
APART = (
    Linear("in_proj_qkv", Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ),
    Linear("in_proj_z", Role.Z_PROJ),
    Linear("in_proj_b", Role.B_PROJ),
    Linear("in_proj_a", Role.A_PROJ),
)


def decoder(
    config: Config,
    root: str,
    projections: tuple[Linear, ...],
    feed_forward: Callable[[int], Component],
    ahead: Component | None = None,
) -> CausalLM:
    """`projections` are those that enter the delta nets; norms multiply by 1 + w.

    Layers that predict tokens further ahead attend, and have `ahead` for a feed-forward or what the last layer has.
    """
    if not config["attn_output_gate"]:
        raise UndeclaredError("attention without attn_output_gate is not declared", where=config.source)
    width, eps = config["hidden_size"], config["rms_norm_eps"]

    def norm(name: str, role: Role) -> RMSNorm:
        return RMSNorm(name=name, role=role, size=width, eps=eps, offset=1.0)

    def block(kind: tuple[str, Component]) -> Block:
        return Block(
            input_norm=norm("input_layernorm", Role.INPUT_NORM),
            attention=_attention(config) if kind[0] == "full_attention" else _delta_net(config, projections),
            feed_forward_norm=norm("post_attention_layernorm", Role.POST_ATTENTION_NORM),
            feed_forward=kind[1],
        )

    mixers = kinds_of(config, every(config, "full_attention_interval", 4))
    kinds = [(mixer, feed_forward(layer)) for layer, mixer in enumerate(mixers)]
    last = block(("full_attention", ahead or feed_forward(len(mixers) - 1)))
    prediction = PredictionPart(
        name="mtp",
        width=width,
        eps=eps,
        blocks=Repeat(name="layers", indices=range(config["mtp_num_hidden_layers"] or 0), child=last),
        offset=1.0,
    )
    model = hybrid(config, root, kinds, block, eps=eps, offset=1.0)
    return replace(model, extras=(prediction,)) if config["mtp_num_hidden_layers"] else model


def _attention(config: Config) -> Component:
    """Rows of `q_proj` are, head by head, its query and its gate."""
    head_dim, bias, eps = config["head_dim"], config["attention_bias"], config["rms_norm_eps"]
    norms = (("q_norm", Role.Q_NORM), ("k_norm", Role.K_NORM))
    return attention(
        config,
        head_dim,
        (
            Linear("q_proj", Role.Q_PROJ, Role.ATTENTION_GATE, bias=bias, groups=config["num_attention_heads"]),
            Linear("k_proj", Role.K_PROJ, bias=bias),
            Linear("v_proj", Role.V_PROJ, bias=bias),
            Linear("o_proj", Role.O_PROJ, bias=bias),
        ),
        rope=rotary(config, head_dim),
        norms=tuple(RMSNorm(name=name, role=role, size=head_dim, eps=eps, offset=1.0) for name, role in norms),
        gated=True,
    )


def _delta_net(config: Config, projections: tuple[Linear, ...]) -> Component:
    return GatedDeltaNet(
        name="linear_attn",
        items=(
            *projections,
            Plain("conv1d", Role.CONVOLUTION),
            Plain("", Role.DT_BIAS, leaf="dt_bias"),
            Plain("", Role.A_LOG, leaf="A_log"),
            Linear("out_proj", Role.OUT_PROJ),
        ),
        width=config["hidden_size"],
        key_heads=config["linear_num_key_heads"],
        value_heads=config["linear_num_value_heads"],
        key_dim=config["linear_key_head_dim"],
        value_dim=config["linear_value_head_dim"],
        kernel=config["linear_conv_kernel_dim"],
        activation=config["hidden_act"],
        norm=GatedRMSNorm(name="norm", size=config["linear_value_head_dim"], eps=config["rms_norm_eps"]),
    )
