"""Phi-3.5-MoE (arXiv 2404.14219): layer norms, SparseMixer routing. Source: `PhimoeConfig` of transformers."""

from __future__ import annotations

from weightscope.components.decoder import CausalLM
from weightscope.components.feed_forward.moe import MixtureOfExperts
from weightscope.components.feed_forward.routing import Routing
from weightscope.config import Config, Nullable
from weightscope.errors import UndeclaredError
from weightscope.families.common.defaults import LLAMA
from weightscope.families.common.llama_like import decoder
from weightscope.families.common.mixtures import ROOTS, spelling, stacked_experts
from weightscope.families.common.parts import four_projections, gated_mlp, layer_norms
from weightscope.families.registry import family

PHIMOE = LLAMA | {
    "vocab_size": 32064,
    "intermediate_size": 6400,
    "num_key_value_heads": Nullable(int, 8),
    "rms_norm_eps": 1e-5,
    "max_position_embeddings": 131072,
    "original_max_position_embeddings": Nullable(int),
    "rope_theta": 1000000.0,
    "sliding_window": Nullable(int),
    "num_local_experts": 16,
    "num_experts_per_tok": 2,
    "router_jitter_noise": 0.01,
    "lm_head_bias": False,
}


@family("phimoe", roots=ROOTS, defaults=PHIMOE)
def phimoe(config: Config, root: str) -> CausalLM:
    """Mixtral's names on disk, a bias on the head where the config says so."""
    prefix, stacked = spelling(root)
    bias, experts, chosen = config["attention_bias"], config["num_local_experts"], config["num_experts_per_tok"]
    if chosen != 2:
        # Its code chooses two, whatever the config says.
        raise UndeclaredError(f"phimoe with num_experts_per_tok = {chosen} is not declared", where=config.source)
    expert = gated_mlp(config, "", names=("w1", "w3", "w2"))
    return decoder(
        config,
        prefix,
        projections=four_projections(qkv_bias=bias, o_bias=bias),
        norm=layer_norms(config["rms_norm_eps"]),
        feed_forward=MixtureOfExperts(
            name="mlp" if stacked else "block_sparse_moe",
            width=config["hidden_size"],
            experts=experts,
            chosen=chosen,
            expert=expert,
            routing=Routing(score="sparsemixer", jitter=float(config["router_jitter_noise"])),
            stacked=stacked_experts(expert, experts, chosen) if stacked else None,
            router="router" if stacked else "gate",
        ),
        slides=lambda _: True,
        heads={"bias": config["lm_head_bias"]},
    )
