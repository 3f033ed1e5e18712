"""Hunyuan, the dense ones (Tencent 2025): norms after the rotation. Source: `HunYuanDenseV1Config` of transformers."""

from __future__ import annotations

from msgspec.structs import replace

from weightscope.components.decoder import CausalLM
from weightscope.components.norm import RMSNorm
from weightscope.config import Config
from weightscope.families.common.defaults import LLAMA
from weightscope.families.common.llama_like import decoder
from weightscope.families.common.parts import four_projections
from weightscope.families.common.rotary import rotary
from weightscope.families.registry import family
from weightscope.roles import Role

HUNYUAN = LLAMA | {"vocab_size": 290943, "rms_norm_eps": 1e-5}


@family("hunyuan_v1_dense", roots=("model", ""), defaults=HUNYUAN)
def hunyuan_v1_dense(config: Config, root: str) -> CausalLM:
    """A scaling called dynamic that has an `alpha` is a fixed one."""
    eps, bias = config["rms_norm_eps"], config["attention_bias"]
    head_dim = config["head_dim"] or config["hidden_size"] // config["num_attention_heads"]
    rope = rotary(config, head_dim)
    if rope.scaling.kind == "dynamic" and rope.scaling.get("alpha"):
        rope = replace(rope, scaling=replace(rope.scaling, kind="ntk_alpha"))
    return decoder(
        config,
        root,
        projections=four_projections(qkv_bias=bias, o_bias=bias),
        head_norms=(
            RMSNorm(name="query_layernorm", role=Role.Q_NORM, size=head_dim, eps=eps),
            RMSNorm(name="key_layernorm", role=Role.K_NORM, size=head_dim, eps=eps),
        ),
        ropes=lambda *_: rope,
        attention={"turned_norms": True},
    )
