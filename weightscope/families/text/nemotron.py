"""Nemotron-4, Minitron (arXiv 2402.16819): layer norms that multiply by 1 + w. Source: `NemotronConfig`."""

from __future__ import annotations

from typing import Any

from weightscope.components.decoder import CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common.llama_like import decoder
from weightscope.families.common.parts import four_projections, layer_norms, mlp
from weightscope.families.registry import family

NEMOTRON: dict[str, Any] = {
    "vocab_size": 256000,
    "hidden_size": 6144,
    "intermediate_size": 24576,
    "num_hidden_layers": 32,
    "num_attention_heads": 48,
    "num_key_value_heads": Nullable(int),
    "head_dim": Nullable(int),
    "hidden_act": "relu2",
    "max_position_embeddings": 4096,
    "norm_eps": 1e-5,
    "tie_word_embeddings": False,
    "rope_theta": 10000.0,
    "partial_rotary_factor": 0.5,
    "attention_bias": False,
    "mlp_bias": False,
}


@family("nemotron", roots=("model", ""), defaults=NEMOTRON)
def nemotron(config: Config, root: str) -> CausalLM:
    """Half of each head is rotated."""
    bias = config["attention_bias"]
    return decoder(
        config,
        root,
        projections=four_projections(qkv_bias=bias, o_bias=bias),
        feed_forward=mlp(config, "mlp", bias=config["mlp_bias"]),
        norm=layer_norms(config["norm_eps"], offset=1.0),
    )
