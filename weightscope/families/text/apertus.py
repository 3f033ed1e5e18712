"""Apertus (arXiv 2509.14233): head norms, and a learned activation in the MLP. Source: `ApertusConfig`."""

from __future__ import annotations

from msgspec.structs import replace

from weightscope.components.decoder import CausalLM
from weightscope.components.feed_forward.xielu import XIELU
from weightscope.config import Config
from weightscope.families.common.defaults import LLAMA
from weightscope.families.common.llama_like import decoder
from weightscope.families.common.parts import four_projections, mlp
from weightscope.families.registry import family

APERTUS = LLAMA | {
    "vocab_size": 131072,
    "intermediate_size": 14336,
    "hidden_act": "xielu",
    "rms_norm_eps": 1e-5,
    "max_position_embeddings": 65536,
    "rope_theta": 12000000.0,
    "rope_parameters": {
        "rope_type": "llama3",
        "rope_theta": 12000000.0,
        "factor": 8.0,
        "original_max_position_embeddings": 8192,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
    },
}


@family("apertus", roots=("model", ""), defaults=APERTUS)
def apertus(config: Config, root: str) -> CausalLM:
    """The norms before each half have names of their own."""
    bias, feed_forward = config["attention_bias"], mlp(config, "mlp")
    if config["hidden_act"] == "xielu":
        feed_forward = replace(feed_forward, learned=XIELU(name="act_fn"))
    return decoder(
        config,
        root,
        projections=four_projections(qkv_bias=bias, o_bias=bias),
        head_norms=True,
        feed_forward=feed_forward,
        norm_names=("attention_layernorm", "feedforward_layernorm"),
    )
