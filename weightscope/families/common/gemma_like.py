"""What all Gemmas share: embeddings scaled by sqrt(width), norms that multiply by 1 + w, a GELU gate."""

from __future__ import annotations

from math import sqrt
from typing import Any

from weightscope.components.decoder import CausalLM
from weightscope.config import Config
from weightscope.families.common.llama_like import decoder
from weightscope.families.common.parts import four_projections, gated_mlp, rms_norms


def gemma_decoder(config: Config, root: str, activation: str, **settings: Any) -> CausalLM:
    """A Gemma with further settings of a Llama-like decoder."""
    bias = config["attention_bias"]
    return decoder(
        config,
        root,
        projections=four_projections(qkv_bias=bias, o_bias=bias),
        norm=rms_norms(config["rms_norm_eps"], offset=1.0),
        feed_forward=gated_mlp(config, "mlp", activation=activation),
        embedding_scale=sqrt(config["hidden_size"]),
        **settings,
    )


def between_norms(
    config: Config, root: str, activation: str, *, softcap: float | None = None, **settings: Any
) -> CausalLM:
    """Gemma 2 and later: norms before and after each half, scores scaled by a number of their own."""
    scalar = config["query_pre_attn_scalar"]
    return gemma_decoder(
        config,
        root,
        activation,
        norm_names=("input_layernorm", "pre_feedforward_layernorm"),
        out_norm_names=("post_attention_layernorm", "post_feedforward_layernorm"),
        attention={"softcap": softcap, "scale": 1 / sqrt(scalar) if scalar else None},
        heads={"softcap": config["final_logit_softcapping"]},
        **settings,
    )
