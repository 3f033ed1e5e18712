"""OLMoE (arXiv 2409.02060): norms over all queries and all keys together. Source: `OlmoeConfig` of transformers."""

from __future__ import annotations

from weightscope.components.decoder import CausalLM
from weightscope.components.feed_forward.moe import MixtureOfExperts
from weightscope.components.feed_forward.routing import Routing
from weightscope.components.norm import RMSNorm
from weightscope.config import Config, Nullable
from weightscope.families.common.defaults import LLAMA
from weightscope.families.common.llama_like import decoder
from weightscope.families.common.mixtures import ROOTS, spelling, stacked_experts
from weightscope.families.common.parts import four_projections, gated_mlp
from weightscope.families.registry import family
from weightscope.roles import Role

OLMOE = LLAMA | {
    "vocab_size": 50304,
    "hidden_size": 2048,
    "intermediate_size": 2048,
    "num_hidden_layers": 16,
    "num_attention_heads": 16,
    "rms_norm_eps": 1e-5,
    "max_position_embeddings": 4096,
    "clip_qkv": Nullable(float),
    "num_experts": 64,
    "num_experts_per_tok": 8,
    "norm_topk_prob": False,
}


@family("olmoe", roots=ROOTS, defaults=OLMOE, aliases={"num_experts": "num_local_experts"})
def olmoe(config: Config, root: str) -> CausalLM:
    """Queries, keys and values are held within `clip_qkv`, after the norms."""
    prefix, stacked = spelling(root)
    width, heads, bias = config["hidden_size"], config["num_attention_heads"], config["attention_bias"]
    keys = width // heads * (config["num_key_value_heads"] or heads)
    experts, chosen = config["num_experts"], config["num_experts_per_tok"]
    expert = gated_mlp(config, "")
    eps = config["rms_norm_eps"]
    return decoder(
        config,
        prefix,
        projections=four_projections(qkv_bias=bias, o_bias=bias),
        head_norms=(
            RMSNorm(name="q_norm", role=Role.Q_NORM, size=width, eps=eps),
            RMSNorm(name="k_norm", role=Role.K_NORM, size=keys, eps=eps),
        ),
        feed_forward=MixtureOfExperts(
            name="mlp",
            width=width,
            experts=experts,
            chosen=chosen,
            expert=expert,
            routing=Routing(normalize=config["norm_topk_prob"]),
            stacked=stacked_experts(expert, experts, chosen) if stacked else None,
        ),
        attention={"whole_norms": True, "clip": config["clip_qkv"]},
    )
