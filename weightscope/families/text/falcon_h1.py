"""Falcon-H1 (arXiv 2507.22448): Mamba-2 beside attention in every layer. Source: `FalconH1Config` of transformers."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from weightscope.components.decoder import Block, CausalLM
from weightscope.components.mixers import SideBySide
from weightscope.components.recurrent.gated_norm import GatedRMSNorm
from weightscope.config import Config, Nullable
from weightscope.families.common.dims import depth_of
from weightscope.families.common.hybrid import attention, hybrid, number
from weightscope.families.common.parts import four_projections, gated_mlp, rms_norms
from weightscope.families.common.rotary import rotary
from weightscope.families.common.state_space import MAMBA2_HYBRID, mamba2
from weightscope.families.registry import family
from weightscope.roles import Role

ONES = ("key", "attention_in", "attention_out", "ssm_in", "ssm_out", "lm_head", "embedding")
FALCON_H1: dict[str, Any] = MAMBA2_HYBRID | {
    "max_position_embeddings": 8192,
    "mamba_d_ssm": Nullable(int, 1024),
    "mamba_norm_before_gate": Nullable(bool, True),
    "mamba_rms_norm": Nullable(bool, False),
    "projectors_bias": Nullable(bool, False),
    "mlp_multipliers": Nullable(list),
    "ssm_multipliers": Nullable(list),
    **{f"{name}_multiplier": 1.0 for name in ONES},
}


@family("falcon_h1", roots=("model", ""), defaults=FALCON_H1)
def falcon_h1(config: Config, root: str) -> CausalLM:
    """What muP multiplies stays in the config: nothing of it is in the weights."""
    width, eps, bias = config["hidden_size"], config["rms_norm_eps"], config["attention_bias"]
    head_dim = config["head_dim"] or width // config["num_attention_heads"]
    inner = config["mamba_d_ssm"] or config["mamba_expand"] * width
    times = {name: number(config, f"{name}_multiplier") for name in ONES}
    gate, out = _listed(config, "mlp_multipliers", 2)
    groups, first = int(config["mamba_n_groups"]), not config["mamba_norm_before_gate"]
    norm = GatedRMSNorm(name="norm", size=inner, eps=eps, groups=groups, gate_first=first)
    mixer = mamba2(
        config,
        inner,
        norm=norm if config["mamba_rms_norm"] else None,
        out_bias=bool(config["projectors_bias"]),
        scales=_listed(config, "ssm_multipliers", 5),
    )
    items, scale = four_projections(qkv_bias=bias, o_bias=bias), times["key"] * head_dim**-0.5
    attends = attention(config, head_dim, items, rope=rotary(config, head_dim), scale=scale)
    mixers = SideBySide(
        parts=(mixer, attends),
        scales=((times["ssm_in"], times["ssm_out"]), (times["attention_in"], times["attention_out"])),
    )
    block = Block(
        input_norm=rms_norms(eps)("input_layernorm", Role.INPUT_NORM, width),
        attention=mixers,
        feed_forward_norm=rms_norms(eps)("pre_ff_layernorm", Role.PRE_FEEDFORWARD_NORM, width),
        feed_forward=replace(
            gated_mlp(config, "feed_forward", bias=config["mlp_bias"]), gate_scale=gate, out_scale=out
        ),
    )
    ends: dict[str, Any] = {"final_norm": "final_layernorm", "embedding_scale": times["embedding"]}
    return hybrid(config, root, ["hybrid"] * depth_of(config), lambda _: block, eps=eps, scale=times["lm_head"], **ends)


def _listed(config: Config, key: str, count: int) -> tuple[float, ...]:
    """That many numbers, or ones."""
    numbers = config[key] or [1.0] * count
    if len(numbers) != count or not all(isinstance(number, int | float) for number in numbers):
        raise config.error(f"{key!r} is {numbers!r:.60}, not {count} numbers")
    return tuple(map(float, numbers))
