"""Ministral and Ministral 3 (Mistral AI 2024, 2025). Sources: `MinistralConfig`, `Ministral3Config` of transformers."""

from __future__ import annotations

from weightscope.components.attention.attend_old import Temperature
from weightscope.components.decoder import CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common.defaults import MISTRAL
from weightscope.families.common.llama_like import decoder
from weightscope.families.common.rotary import rotary
from weightscope.families.registry import family

MINISTRAL3 = MISTRAL | {
    "vocab_size": 131072,
    "num_hidden_layers": 34,
    "head_dim": Nullable(int, 128),
    "rms_norm_eps": 1e-5,
    "max_position_embeddings": 262144,
    "sliding_window": Nullable(int),
    "rope_parameters": {
        "rope_type": "yarn",
        "rope_theta": 1000000.0,
        "factor": 16.0,
        "original_max_position_embeddings": 16384,
        "beta_fast": 32.0,
        "beta_slow": 1.0,
        "mscale_all_dim": 1.0,
        "mscale": 1.0,
        "llama_4_scaling_beta": 0.1,
    },
}


@family("ministral", roots=("model", ""), defaults=MISTRAL)
def ministral(config: Config, root: str) -> CausalLM:
    """`layer_types` says which layers see a window of `sliding_window` positions; without it all do."""
    return decoder(config, root, slides=lambda _: True)


@family("ministral3", roots=("model", ""), defaults=MINISTRAL3)
def ministral3(config: Config, root: str) -> CausalLM:
    """Queries beyond the context before extension are made larger, by the logarithm of how far they are."""
    head_dim = config["head_dim"] or config["hidden_size"] // config["num_attention_heads"]
    settings = rotary(config, head_dim).scaling
    share, every = settings.get("llama_4_scaling_beta"), settings.get("original_max_position_embeddings")
    late = Temperature(share=float(share), every=int(every)) if share and every else None
    return decoder(config, root, slides=lambda _: True, attention={"temperature": late})
