"""StarCoder 2 (arXiv 2402.19173): layer norms and two matrices in the MLP. Source: `Starcoder2Config`."""

from __future__ import annotations

from typing import Any

from weightscope.components.decoder import CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common.llama_like import decoder
from weightscope.families.common.parts import four_projections, layer_norms, mlp
from weightscope.families.registry import family

STARCODER2: dict[str, Any] = {
    "vocab_size": 49152,
    "hidden_size": 3072,
    "intermediate_size": 12288,
    "num_hidden_layers": 30,
    "num_attention_heads": 24,
    "num_key_value_heads": 2,
    "hidden_act": "gelu_pytorch_tanh",
    "max_position_embeddings": 4096,
    "norm_epsilon": 1e-5,
    "rope_theta": 10000.0,
    "sliding_window": Nullable(int),
    "use_bias": True,
    "tie_word_embeddings": True,
}


@family("starcoder2", roots=("model", ""), defaults=STARCODER2)
def starcoder2(config: Config, root: str) -> CausalLM:
    """`use_bias` is for all matrices; every layer sees a window, if there is one."""
    bias = config["use_bias"]
    return decoder(
        config,
        root,
        projections=four_projections(qkv_bias=bias, o_bias=bias),
        feed_forward=mlp(config, "mlp", names=("c_fc", "c_proj"), bias=bias),
        norm=layer_norms(config["norm_epsilon"]),
        slides=lambda _: True,
    )
