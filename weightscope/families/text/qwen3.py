"""Qwen3 (arXiv 2505.09388): Llama with a norm on each head's query and key. Source: `Qwen3Config` of transformers."""

from __future__ import annotations

from weightscope.components.decoder import CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common.llama_like import decoder
from weightscope.families.common.parts import four_projections
from weightscope.families.registry import family
from weightscope.families.text.qwen2 import QWEN2, upper_layers


@family("qwen3", roots=("model", ""), defaults=QWEN2 | {"head_dim": Nullable(int, 128)})
def qwen3(config: Config, root: str) -> CausalLM:
    """`attention_bias` puts a bias on all four projections."""
    bias = config["attention_bias"]
    projections = four_projections(qkv_bias=bias, o_bias=bias)
    return decoder(config, root, projections=projections, head_norms=True, slides=upper_layers(config))
