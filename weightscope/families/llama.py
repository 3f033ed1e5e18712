"""Llama, and what is Llama in all but name: Mistral, Yi.

Sources: arXiv 2302.13971; `LlamaConfig`, `MistralConfig` of transformers; 01-ai's `YiConfig`.
"""

from __future__ import annotations

from typing import Any

from weightscope.components.decoder import CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common.llama_like import decoder
from weightscope.families.common.parts import four_projections, gated_mlp
from weightscope.families.registry import family

LLAMA: dict[str, Any] = {
    "vocab_size": 32000,
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": Nullable(int),
    "head_dim": Nullable(int),
    "hidden_act": "silu",
    "rms_norm_eps": 1e-6,
    "max_position_embeddings": 2048,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
    "attention_bias": False,
    "mlp_bias": False,
}
MISTRAL = LLAMA | {
    "intermediate_size": 14336,
    "num_key_value_heads": Nullable(int, 8),
    "max_position_embeddings": 131072,
    "sliding_window": Nullable(int, 4096),
}
YI = LLAMA | {
    "vocab_size": 64000,
    "num_key_value_heads": Nullable(int, 4),
    "max_position_embeddings": 4096,
    "rms_norm_eps": 1e-5,
    "rope_theta": 5000000.0,
}
# What a root stands for in Yi: the names of the two norms.
YI_NORMS = {
    "ln1 and ln2": ("ln1", "ln2"),
    "as in Llama": ("input_layernorm", "post_attention_layernorm"),
}


@family("llama", roots=("model", ""), defaults=LLAMA)
def llama(config: Config, root: str) -> CausalLM:
    """Bias on all four projections or none, on all three matrices of the MLP or none; no windows."""
    bias, mlp_bias = config["attention_bias"], config["mlp_bias"]
    projections = four_projections(qkv_bias=bias, o_bias=bias)
    return decoder(config, root, projections=projections, feed_forward=gated_mlp(config, "mlp", bias=mlp_bias))


@family("mistral", roots=("model", ""), defaults=MISTRAL)
def mistral(config: Config, root: str) -> CausalLM:
    """Every layer sees a window of `sliding_window` positions, if that is set."""
    return decoder(config, root, slides=lambda _: True)


@family("Yi", roots=tuple(YI_NORMS), defaults=YI)
@family("yi", roots=tuple(YI_NORMS), defaults=YI)
def yi(config: Config, root: str) -> CausalLM:
    """The first Yi releases have their own names for the norms; later ones are published as llama."""
    return decoder(config, "model", norm_names=YI_NORMS[root])
