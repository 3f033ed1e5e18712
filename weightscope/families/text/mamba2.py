"""Mamba-2 (arXiv 2405.21060): a state space in every layer. Source: `Mamba2Config` of transformers."""

from __future__ import annotations

from typing import Any

from weightscope.components.decoder import CausalLM
from weightscope.components.mixers import MixerBlock
from weightscope.components.norm import RMSNorm
from weightscope.components.recurrent.gated_norm import GatedRMSNorm
from weightscope.components.recurrent.mamba2 import Mamba2
from weightscope.config import Config
from weightscope.families.common.dims import depth_of
from weightscope.families.common.hybrid import hybrid
from weightscope.families.common.state_space import BACKBONE, head_size, step_limits
from weightscope.families.registry import family
from weightscope.roles import Role

MAMBA2: dict[str, Any] = {
    "num_heads": 128,
    "head_dim": 64,
    "vocab_size": 32768,
    "hidden_size": 4096,
    "state_size": 128,
    "num_hidden_layers": 64,
    "layer_norm_epsilon": 1e-5,
    "expand": 2,
    "conv_kernel": 4,
    "n_groups": 8,
    "use_bias": False,
    "use_conv_bias": True,
    "hidden_act": "silu",
    "time_step_limit": None,
    "tie_word_embeddings": False,
}


@family("mamba2", roots=BACKBONE, defaults=MAMBA2, needs=("vocab_size", "hidden_size", "num_hidden_layers"))
def mamba2(config: Config, root: str) -> CausalLM:
    """The norm's groups are those of the state."""
    width, heads, groups = config["hidden_size"], config["num_heads"], config["n_groups"]
    inner, eps, bias = config["expand"] * width, config["layer_norm_epsilon"], config["use_bias"]
    mixer = Mamba2(
        name="mixer",
        width=width,
        heads=heads,
        head_dim=head_size(config, "head_dim", inner, heads),
        groups=groups,
        state=config["state_size"],
        kernel=config["conv_kernel"],
        activation=config["hidden_act"],
        norm=GatedRMSNorm(name="norm", size=inner, eps=eps, groups=int(groups), gate_first=True),
        bias=bias,
        out_bias=bias,
        kernel_bias=config["use_conv_bias"],
        steps=step_limits(config),
    )
    block = MixerBlock(norm=RMSNorm(name="norm", role=Role.INPUT_NORM, size=width, eps=eps), mixer=mixer)
    kinds = ["mamba2"] * depth_of(config)
    prefix, _, embedding = root.partition(", ")
    ends: dict[str, Any] = {"embedding": embedding or "embeddings", "final_norm": "norm_f"}
    return hybrid(config, prefix, kinds, lambda _: block, eps=eps, **ends)
