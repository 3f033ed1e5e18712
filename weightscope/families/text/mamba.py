"""Mamba (arXiv 2312.00752): a state space in every layer, and nothing else. Source: `MambaConfig` of transformers."""

from __future__ import annotations

from typing import Any

from weightscope.components.decoder import CausalLM
from weightscope.components.mixers import MixerBlock
from weightscope.components.norm import RMSNorm
from weightscope.components.recurrent.mamba import Mamba
from weightscope.config import Config
from weightscope.families.common.dims import depth_of
from weightscope.families.common.hybrid import hybrid
from weightscope.families.common.state_space import BACKBONE, step_rank
from weightscope.families.registry import family
from weightscope.roles import Role

MAMBA: dict[str, Any] = {
    "vocab_size": 50280,
    "hidden_size": 768,
    "state_size": 16,
    "num_hidden_layers": 32,
    "layer_norm_epsilon": 1e-5,
    "expand": 2,
    "conv_kernel": 4,
    "use_bias": False,
    "use_conv_bias": True,
    "hidden_act": "silu",
    "time_step_rank": None,
    "tie_word_embeddings": True,
}


@family("mamba", roots=BACKBONE, defaults=MAMBA, needs=("vocab_size", "hidden_size", "num_hidden_layers"))
def mamba(config: Config, root: str) -> CausalLM:
    """The class ignores `intermediate_size`: the inner width is `expand` times the model's."""
    width, eps = config["hidden_size"], config["layer_norm_epsilon"]
    mixer = Mamba(
        name="mixer",
        width=width,
        inner=config["expand"] * width,
        state=config["state_size"],
        rank=step_rank(config, "time_step_rank"),
        kernel=config["conv_kernel"],
        activation=config["hidden_act"],
        bias=config["use_bias"],
        kernel_bias=config["use_conv_bias"],
    )
    block = MixerBlock(norm=RMSNorm(name="norm", role=Role.INPUT_NORM, size=width, eps=eps), mixer=mixer)
    kinds = ["mamba"] * depth_of(config)
    prefix, _, embedding = root.partition(", ")
    ends: dict[str, Any] = {"embedding": embedding or "embeddings", "final_norm": "norm_f"}
    return hybrid(config, prefix, kinds, lambda _: block, eps=eps, **ends)
