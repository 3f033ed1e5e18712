"""Phi-3 and Phi-4 (arXiv 2404.14219): Llama with q, k, v and gate, up fused. Source: `Phi3Config` of transformers."""

from __future__ import annotations

from weightscope.components.decoder import CausalLM
from weightscope.components.feed_forward.mlp import GatedMLP
from weightscope.config import Config, Nullable
from weightscope.families.common.defaults import LLAMA
from weightscope.families.common.llama_like import decoder
from weightscope.families.registry import family
from weightscope.roles import Role
from weightscope.storage.linear import Linear

PHI3 = LLAMA | {
    "vocab_size": 32064,
    "hidden_size": 3072,
    "intermediate_size": 8192,
    "rms_norm_eps": 1e-5,
    "max_position_embeddings": 4096,
    "original_max_position_embeddings": 4096,
    "partial_rotary_factor": 1.0,
    "sliding_window": Nullable(int),
}


@family("phi3", roots=("model", ""), defaults=PHI3)
def phi3(config: Config, root: str) -> CausalLM:
    """Rows of `qkv_proj` are all queries, then all keys, then all values; of `gate_up_proj` all gates, then all ups."""
    mlp = GatedMLP(
        name="mlp",
        items=(Linear("gate_up_proj", Role.GATE_PROJ, Role.UP_PROJ), Linear("down_proj", Role.DOWN_PROJ)),
        width=config["hidden_size"],
        inner=config["intermediate_size"],
        activation=config["hidden_act"],
    )
    projections = (Linear("qkv_proj", Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ), Linear("o_proj", Role.O_PROJ))
    return decoder(
        config,
        root,
        projections=projections,
        feed_forward=mlp,
        slides=lambda _: True,
        # Phi3Config takes yarn for longrope, under its first name.
        longrope=("yarn",),
    )
