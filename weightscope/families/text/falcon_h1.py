"""Falcon-H1 (arXiv 2507.22448): a state space and attention side by side in every layer. Source: `FalconH1Config`."""

from weightscope.components.attention import Scores
from weightscope.components.decoder import Block, CausalLM
from weightscope.components.mixers import SideBySide
from weightscope.components.recurrent.gated_norm import GatedRMSNorm
from weightscope.config import Config, Nullable
from weightscope.families.common import Dims, Output, causal_lm, rms_norms, rotary, token_embedding, visible
from weightscope.families.common.numbers import number, numbers
from weightscope.families.common.parts import four_projections, gated_mlp, self_attention
from weightscope.families.common.refusals import not_computed
from weightscope.families.registry import family
from weightscope.families.siblings.falcon_h1 import BY_MLX, COMPUTED, unfolded
from weightscope.families.siblings.state_space import MAMBA2_HYBRID, mamba2_mixer
from weightscope.roles import Role

ONES = ("key", "attention_in", "attention_out", "ssm_in", "ssm_out", "lm_head", "embedding")
FALCON_H1 = MAMBA2_HYBRID | {
    "max_position_embeddings": 8192, "mamba_d_ssm": Nullable(int, 1024), "mamba_norm_before_gate": Nullable(bool, True),
    "mamba_rms_norm": Nullable(bool, False), "projectors_bias": Nullable(bool, False),
    "mlp_multipliers": Nullable(list), "ssm_multipliers": Nullable(list),
    **{f"{name}_multiplier": 1.0 for name in ONES},
}  # fmt: skip


@family("falcon_h1", roots=("model", "", BY_MLX), defaults=FALCON_H1)
def falcon_h1(config: Config, root: str) -> CausalLM:
    """What muP multiplies stays in the config: nothing of it is in the weights as published."""
    s, eps, bias, by_mlx = Dims.of(config), config["rms_norm_eps"], config["attention_bias"], root == BY_MLX
    norm, times = rms_norms(eps), {name: number(config, f"{name}_multiplier") for name in ONES}
    parts, (gate, out) = numbers(config, "ssm_multipliers", 5), numbers(config, "mlp_multipliers", 2)
    if by_mlx:
        times, parts, gate, out = unfolded(config, times), (1.0,) * 5, 1.0, 1.0
    inner, first = config["mamba_d_ssm"] or config["mamba_expand"] * s.width, not config["mamba_norm_before_gate"]
    gated = GatedRMSNorm(name="norm", size=inner, eps=eps, groups=int(config["mamba_n_groups"]), gate_first=first)
    mamba = mamba2_mixer(
        config,
        inner=inner,
        norm=gated if config["mamba_rms_norm"] else None,
        out_bias=bool(config["projectors_bias"]),
        scales=parts,
        channels_last=by_mlx,
    )
    attention = self_attention(
        s,
        four_projections(qkv_bias=bias, o_bias=bias),
        positions=rotary(config, s.head_dim),
        sees=visible(config),
        scores=Scores(scale=times["key"] * s.head_dim**-0.5),
    )
    block = Block(
        input_norm=norm("input_layernorm", Role.INPUT_NORM, s.width),
        attention=SideBySide(
            parts=(mamba, attention),
            scales=((times["ssm_in"], times["ssm_out"]), (times["attention_in"], times["attention_out"])),
        ),
        feed_forward_norm=norm("pre_ff_layernorm", Role.PRE_FEEDFORWARD_NORM, s.width),
        feed_forward=gated_mlp(config, "feed_forward", bias=config["mlp_bias"], gate_scale=gate, out_scale=out),
    )
    return causal_lm(
        config,
        root.partition(",")[0],
        lambda _: block,
        embedding=token_embedding(config, scale=times["embedding"]),
        final_norm=norm("final_layernorm", Role.FINAL_NORM, s.width),
        output=Output(scale=times["lm_head"]),
        refused=not_computed(config, "Falcon-H1 by MLX", COMPUTED) if by_mlx else "",
    )
