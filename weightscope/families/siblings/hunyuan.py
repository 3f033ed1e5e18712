"""The attention that all Hunyuan families have. Source: `HunYuanDenseV1Attention` of transformers."""

from __future__ import annotations

from weightscope.components.attention import Attention, Rope, RotatedNorms
from weightscope.config import Config
from weightscope.families.common import Dims, rms_norms, rotary, visible
from weightscope.families.common.parts import four_projections, self_attention
from weightscope.roles import Role


def hunyuan_attention(config: Config, s: Dims, positions: Rope) -> Attention:
    """Norms after the rotation."""
    norm, bias = rms_norms(config["rms_norm_eps"]), config["attention_bias"]
    return self_attention(
        s,
        four_projections(qkv_bias=bias, o_bias=bias),
        norms=RotatedNorms(
            query=norm("query_layernorm", Role.Q_NORM, s.head_dim),
            key=norm("key_layernorm", Role.K_NORM, s.head_dim),
        ),
        positions=positions,
        sees=visible(config),
    )


def hunyuan_rope(config: Config, s: Dims) -> Rope:
    """A scaling called dynamic that has an `alpha` is a fixed one."""
    scaling = config["rope_scaling"] or config["rope_parameters"] or {}
    return rotary(config, s.head_dim, named={"dynamic": "ntk_alpha"} if scaling.get("alpha") else None)
