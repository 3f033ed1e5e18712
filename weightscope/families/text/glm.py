"""GLM-4 (arXiv 2406.12793) and GLM-4-0414. Sources: `GlmConfig`, `Glm4Config` of transformers."""

from __future__ import annotations

from typing import Any

from weightscope.components.decoder import CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common.defaults import LLAMA
from weightscope.families.common.llama_like import decoder
from weightscope.families.common.parts import four_projections, fused_gated_mlp
from weightscope.families.registry import family

GLM = LLAMA | {
    "vocab_size": 151552,
    "intermediate_size": 13696,
    "num_hidden_layers": 40,
    "num_key_value_heads": Nullable(int, 2),
    "head_dim": Nullable(int, 128),
    "rms_norm_eps": 1.5625e-07,
    "max_position_embeddings": 131072,
    "attention_bias": True,
    "partial_rotary_factor": 0.5,
}


@family("glm", roots=("model", ""), defaults=GLM)
def glm(config: Config, root: str) -> CausalLM:
    """Neighbours in the first half of a head are rotated; queries, keys and values have a bias."""
    return _decoder(config, root)


@family("glm4", roots=("model", ""), defaults=GLM)
def glm4(config: Config, root: str) -> CausalLM:
    """Norms after each half as well; `post_attention_layernorm` is the one before the MLP."""
    return _decoder(config, root, out_norm_names=("post_self_attn_layernorm", "post_mlp_layernorm"))


def _decoder(config: Config, root: str, **settings: Any) -> CausalLM:
    return decoder(
        config,
        root,
        projections=four_projections(qkv_bias=config["attention_bias"]),
        feed_forward=fused_gated_mlp(config, "mlp"),
        interleaved=True,
        **settings,
    )
