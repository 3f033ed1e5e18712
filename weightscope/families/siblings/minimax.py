"""The layers that MiniMax-Text-01 and M1 have, whichever code their configs are for. Source: `MiniMaxModel`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec.structs import replace

from weightscope.components.attention.rope import Rope
from weightscope.components.feed_forward.moe import MixtureOfExperts, Stack
from weightscope.components.mixers import NormedBlock
from weightscope.components.norm import RMSNorm
from weightscope.components.recurrent.lightning import LightningAttention
from weightscope.config import Config
from weightscope.families.common import Dims, depth_of, rms_norms, visible
from weightscope.families.common.layer_types import FULL, LINEAR
from weightscope.families.common.mixtures import STACK
from weightscope.families.common.parts import four_projections, gated_mlp, self_attention
from weightscope.roles import Role
from weightscope.sizes import Size

# The classes give this norm no epsilon of the config's.
INNER_EPS = 1e-6
# What is kept and what is added, (α, β), under the kind of attention and "mlp".
Factors = Mapping[str, tuple[float, float]]


def minimax_layers(
    config: Config, kinds: list[str], factors: Factors, rope: Rope, *, chunk: Size | None, stacked: Stack | None
) -> Callable[[int], NormedBlock]:
    """What each layer is: softmax attention that turns by `rope`, or lightning attention; and a mixture.

    transformers 5 stores the rates by which lightning attention forgets, with tables for `chunk` tokens; published
    models do not.
    """
    s, norm = Dims.of(config), rms_norms(config["rms_norm_eps"])
    lightning = LightningAttention(
        name="self_attn",
        width=s.width,
        heads=s.heads.count,
        head_dim=s.head_dim,
        activation=config["hidden_act"],
        norm=RMSNorm(name="norm", role=Role.NORM, size=s.queries, eps=INNER_EPS),
        chunk=chunk,
    )
    window = config["sliding_window"] or None
    softmax = self_attention(s, four_projections(), positions=rope, sees=visible(config, window))
    mixture = MixtureOfExperts(
        name="mlp" if stacked == STACK else "block_sparse_moe",
        width=s.width,
        experts=config["num_local_experts"],
        chosen=config["num_experts_per_tok"],
        expert=gated_mlp(config, "", names=("w1", "w3", "w2")),
        stacked=stacked,
    )

    def linear(i: int) -> LightningAttention:
        """Later layers forget more slowly."""
        return lightning if chunk else replace(lightning, fade=1 - i / (s.depth - 1 + 1e-5) + 1e-5)

    def layer(i: int) -> NormedBlock:
        return NormedBlock(
            input_norm=norm("input_layernorm", Role.INPUT_NORM, s.width),
            attention=softmax if kinds[i] == FULL else linear(i),
            feed_forward_norm=norm("post_attention_layernorm", Role.POST_ATTENTION_NORM, s.width),
            feed_forward=mixture,
            attention_scales=factors[kinds[i]],
            feed_forward_scales=factors["mlp"],
        )

    return layer


def attention_kinds(config: Config) -> list[str]:
    """The kind of each layer by `attn_type_list`: 1 for softmax attention, 0 for lightning.

    Raises:
        ConfigError: it is no list of so many such numbers.
    """
    listed, depth = config["attn_type_list"] or [], depth_of(config)
    if len(listed) != depth or not all(type(kind) is int and kind in (0, 1) for kind in listed):
        raise config.error(f"'attn_type_list' is {listed!r:.60}, not {depth:,} numbers that are 0 or 1")
    return [FULL if kind else LINEAR for kind in listed]


def uneven_heads(config: Config) -> str:
    """Why there is no forward pass: published code has other rates for heads whose number is no power of 2."""
    heads = int(config["num_attention_heads"])
    return f"MiniMax-M1 with num_attention_heads {heads}, which is no power of 2" if heads & (heads - 1) else ""
