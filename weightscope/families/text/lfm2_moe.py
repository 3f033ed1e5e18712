"""LFM2-MoE (arXiv 2511.23404): LFM2 with a mixture above its first layers. Source: `Lfm2MoeConfig` of transformers."""

from __future__ import annotations

from typing import Any

from weightscope.components.decoder import CausalLM
from weightscope.components.feed_forward.routing import Routing
from weightscope.config import Config, Nullable
from weightscope.families.common.hybrid import mixture, number
from weightscope.families.common.lfm2_like import decoder
from weightscope.families.common.mixtures import ROOTS, spelling
from weightscope.families.common.parts import gated_mlp
from weightscope.families.registry import family

LFM2_MOE: dict[str, Any] = {
    "vocab_size": 65536,
    "hidden_size": 2048,
    "intermediate_size": 7168,
    "moe_intermediate_size": 1792,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": Nullable(int, 8),
    "head_dim": Nullable(int),
    "max_position_embeddings": 128000,
    "norm_eps": 1e-5,
    "rope_theta": 1000000.0,
    "tie_word_embeddings": True,
    "conv_bias": False,
    "conv_L_cache": 3,
    "num_dense_layers": 2,
    "num_experts_per_tok": 4,
    "num_experts": 32,
    "use_expert_bias": True,
    "routed_scaling_factor": 1.0,
    "norm_topk_prob": True,
}
NAMES = ("w1", "w3", "w2")


@family("lfm2_moe", roots=ROOTS, defaults=LFM2_MOE, aliases={"tie_word_embeddings": "tie_embedding"})
def lfm2_moe(config: Config, root: str) -> CausalLM:
    """A bias shifts the choice of experts but not their weights, as in DeepSeek-V3."""
    prefix, stacked = spelling(root)
    expert = gated_mlp(config, "", inner=config["moe_intermediate_size"], activation="silu", names=NAMES)
    dense = gated_mlp(config, "feed_forward", activation="silu", names=NAMES)
    normalize, scale = bool(config["norm_topk_prob"]), number(config, "routed_scaling_factor")
    mixed = mixture(
        config,
        "feed_forward",
        expert,
        Routing(score="sigmoid", normalize=normalize, scale=scale, added=1e-6),
        stacked=stacked,
        correction="expert_bias" if config["use_expert_bias"] else None,
    )
    first = config["num_dense_layers"]
    return decoder(config, prefix, lambda layer: dense if layer < first else mixed, lambda _: "full_attention")
