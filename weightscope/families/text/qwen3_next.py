"""Qwen3-Next (Alibaba 2025): delta nets and gated attention over mixtures. Source: `Qwen3NextConfig`."""

from weightscope.components.base import Component
from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config
from weightscope.families.common import Dims, causal_lm
from weightscope.families.common.layer_types import FULL
from weightscope.families.common.mixtures import ROOTS, SWITCHED, spelling
from weightscope.families.common.parts import gated_mlp, pre_norm_block
from weightscope.families.common.refusals import require
from weightscope.families.registry import family
from weightscope.families.siblings.qwen_delta import (
    QWEN3_NEXT,
    delta_kinds,
    delta_net,
    delta_norms,
    gated_attention,
    qwen_ahead,
)
from weightscope.families.siblings.qwen_moe import every_so_often, qwen_mixture
from weightscope.roles import Role
from weightscope.storage.linear import Linear


@family("qwen3_next", roots=ROOTS, defaults=QWEN3_NEXT)
def qwen3_next(config: Config, root: str) -> CausalLM:
    """The rows of both projections come in as many groups as there are key heads."""
    require(config, "Qwen3-Next", {"attn_output_gate": True})
    s, by_mlx, (prefix, stacked) = Dims.of(config), root == SWITCHED, spelling(root)
    norm, attention = delta_norms(config, by_mlx=by_mlx), gated_attention(config, s, by_mlx=by_mlx)
    groups, kinds, mixes = int(config["linear_num_key_heads"]), delta_kinds(config), every_so_often(config)
    delta = delta_net(
        config,
        (
            Linear("in_proj_qkvz", Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ, Role.Z_PROJ, groups=groups),
            Linear("in_proj_ba", Role.B_PROJ, Role.A_PROJ, groups=groups),
        ),
        by_mlx=by_mlx,
    )
    mixed = qwen_mixture(config, normalize=config["norm_topk_prob"], stacked=stacked)

    def feed_forward(i: int) -> Component:
        return mixed if mixes(i) else gated_mlp(config, "mlp")

    def layer(i: int) -> Block:
        mixer = attention if kinds[i] == FULL else delta
        return pre_norm_block(norm, s.width, attention=mixer, feed_forward=feed_forward(i))

    ahead = pre_norm_block(norm, s.width, attention=attention, feed_forward=feed_forward(s.depth - 1))

    return causal_lm(
        config,
        prefix,
        layer,
        final_norm=norm("norm", Role.FINAL_NORM, s.width),
        extras=() if by_mlx else qwen_ahead(config, ahead),
    )
