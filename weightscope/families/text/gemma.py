"""Gemma (arXiv 2403.08295) and Gemma 2 (arXiv 2408.00118). Sources: `GemmaConfig`, `Gemma2Config` of transformers."""

from __future__ import annotations

from typing import Any

from weightscope.components.decoder import CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common.gemma_like import between_norms, gemma_decoder
from weightscope.families.registry import family

GEMMA: dict[str, Any] = {
    "vocab_size": 256000,
    "hidden_size": 3072,
    "intermediate_size": 24576,
    "num_hidden_layers": 28,
    "num_attention_heads": 16,
    "num_key_value_heads": Nullable(int, 16),
    "head_dim": 256,
    "hidden_act": "gelu_pytorch_tanh",
    "rms_norm_eps": 1e-6,
    "max_position_embeddings": 8192,
    "rope_theta": 10000.0,
    "tie_word_embeddings": True,
    "attention_bias": False,
}
GEMMA2 = GEMMA | {
    "hidden_size": 2304,
    "intermediate_size": 9216,
    "num_hidden_layers": 26,
    "num_attention_heads": 8,
    "num_key_value_heads": Nullable(int, 4),
    "hidden_activation": "gelu_pytorch_tanh",
    "query_pre_attn_scalar": Nullable(int, 256),
    "sliding_window": Nullable(int, 4096),
    "attn_logit_softcapping": 50.0,
    "final_logit_softcapping": 30.0,
}


@family("gemma", roots=("model", ""), defaults=GEMMA)
def gemma(config: Config, root: str) -> CausalLM:
    """One norm before each half, as in Llama."""
    named = config.get("hidden_activation") or config["hidden_act"]
    # The published Gemma says "gelu" and means the tanh approximation, as its config class mends it.
    return gemma_decoder(config, root, "gelu_pytorch_tanh" if named == "gelu" else named)


@family("gemma2", roots=("model", ""), defaults=GEMMA2)
def gemma2(config: Config, root: str) -> CausalLM:
    """Capped scores and logits, a window in every other layer from the first."""
    activation = config["hidden_activation"] or config["hidden_act"]
    capped = config["attn_logit_softcapping"]
    return between_norms(config, root, activation, softcap=capped, slides=lambda layer: layer % 2 == 0)
