"""Seed-OSS (ByteDance 2025): Llama with biases on queries, keys and values. Source: `SeedOssConfig` of transformers."""

from __future__ import annotations

from weightscope.components.decoder import CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common.defaults import LLAMA
from weightscope.families.common.llama_like import decoder
from weightscope.families.common.parts import four_projections, gated_mlp
from weightscope.families.registry import family

SEED_OSS = LLAMA | {
    "vocab_size": 155136,
    "intermediate_size": 27648,
    "num_hidden_layers": 64,
    "num_attention_heads": 80,
    "num_key_value_heads": Nullable(int, 8),
    "head_dim": Nullable(int, 128),
    "max_position_embeddings": 524288,
    "attention_bias": True,
    "attention_out_bias": False,
}


@family("seed_oss", roots=("model", ""), defaults=SEED_OSS)
def seed_oss(config: Config, root: str) -> CausalLM:
    """The output projection's bias has a key of its own."""
    return decoder(
        config,
        root,
        projections=four_projections(qkv_bias=config["attention_bias"], o_bias=config["attention_out_bias"]),
        feed_forward=gated_mlp(config, "mlp", bias=config["mlp_bias"]),
    )
