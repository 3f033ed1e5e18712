"""ERNIE 4.5, the dense ones (Baidu 2025): Llama that rotates neighbours. Source: `Ernie4_5Config` of transformers."""

from __future__ import annotations

from weightscope.components.decoder import CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common.defaults import LLAMA
from weightscope.families.common.llama_like import decoder
from weightscope.families.common.parts import four_projections, gated_mlp
from weightscope.families.registry import family

ERNIE4_5 = LLAMA | {
    "vocab_size": 103424,
    "hidden_size": 1024,
    "intermediate_size": 3072,
    "num_hidden_layers": 18,
    "num_attention_heads": 16,
    "num_key_value_heads": Nullable(int, 2),
    "head_dim": Nullable(int, 128),
    "rms_norm_eps": 1e-5,
    "max_position_embeddings": 131072,
    "rope_theta": 500000.0,
    "tie_word_embeddings": True,
    "use_bias": False,
}


@family("ernie4_5", roots=("model", ""), defaults=ERNIE4_5)
def ernie4_5(config: Config, root: str) -> CausalLM:
    """`use_bias` is for all matrices."""
    bias = config["use_bias"]
    return decoder(
        config,
        root,
        projections=four_projections(qkv_bias=bias, o_bias=bias),
        feed_forward=gated_mlp(config, "mlp", bias=bias),
        interleaved=True,
    )
