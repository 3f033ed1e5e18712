"""Granite 3 (IBM 2024): Llama with four multipliers. Source: `GraniteConfig` of transformers."""

from __future__ import annotations

from weightscope.components.decoder import CausalLM
from weightscope.config import Config
from weightscope.families.common.defaults import LLAMA
from weightscope.families.common.llama_like import decoder
from weightscope.families.common.parts import four_projections, gated_mlp
from weightscope.families.registry import family

GRANITE = LLAMA | {
    "embedding_multiplier": 1.0,
    "logits_scaling": 1.0,
    "residual_multiplier": 1.0,
    "attention_multiplier": 1.0,
}


@family("granite", roots=("model", ""), defaults=GRANITE)
def granite(config: Config, root: str) -> CausalLM:
    """Embeddings, scores, what each half adds and the logits are scaled by numbers of the config."""
    bias = config["attention_bias"]
    return decoder(
        config,
        root,
        projections=four_projections(qkv_bias=bias, o_bias=bias),
        feed_forward=gated_mlp(config, "mlp", bias=config["mlp_bias"]),
        attention={"scale": float(config["attention_multiplier"])},
        block={"residual_scale": float(config["residual_multiplier"])},
        embedding_scale=float(config["embedding_multiplier"]),
        heads={"scale": 1 / float(config["logits_scaling"])},
    )
