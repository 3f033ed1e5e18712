"""Mixtral (arXiv 2401.04088): Mistral with eight experts for an MLP. Source: `MixtralConfig` of transformers."""

from __future__ import annotations

from weightscope.components.decoder import CausalLM
from weightscope.components.feed_forward.moe import MixtureOfExperts
from weightscope.config import Config, Nullable
from weightscope.families.common.defaults import MISTRAL
from weightscope.families.common.llama_like import decoder
from weightscope.families.common.mixtures import ROOTS, spelling, stacked_experts
from weightscope.families.common.parts import gated_mlp
from weightscope.families.registry import family

MIXTRAL = MISTRAL | {
    "num_local_experts": 8,
    "num_experts_per_tok": 2,
    "rms_norm_eps": 1e-5,
    "rope_theta": 1000000.0,
    "sliding_window": Nullable(int),
}


@family("mixtral", roots=ROOTS, defaults=MIXTRAL, aliases={"num_local_experts": "num_experts"})
def mixtral(config: Config, root: str) -> CausalLM:
    """An expert's gate, up and down are called w1, w3 and w2."""
    prefix, _ = spelling(root)
    return decoder(config, prefix, feed_forward=mixture(config, root), slides=lambda _: True)


def mixture(config: Config, root: str) -> MixtureOfExperts:
    """Mixtral's mixture, which in memory goes by other names."""
    _, stacked = spelling(root)
    experts, chosen = config["num_local_experts"], config["num_experts_per_tok"]
    expert = gated_mlp(config, "", names=("w1", "w3", "w2"))
    return MixtureOfExperts(
        name="mlp" if stacked else "block_sparse_moe",
        width=config["hidden_size"],
        experts=experts,
        chosen=chosen,
        expert=expert,
        stacked=stacked_experts(expert, experts, chosen) if stacked else None,
    )
