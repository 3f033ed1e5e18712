"""InternLM 3 (Shanghai AI Laboratory 2025): Llama under other names for its biases. Source: `InternLM3Config`."""

from __future__ import annotations

from weightscope.components.decoder import CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common.defaults import LLAMA
from weightscope.families.common.llama_like import decoder
from weightscope.families.common.parts import four_projections, gated_mlp
from weightscope.families.registry import family

INTERNLM3 = LLAMA | {
    "vocab_size": 128512,
    "intermediate_size": 10240,
    "num_hidden_layers": 48,
    "num_key_value_heads": Nullable(int, 2),
    "head_dim": Nullable(int, 128),
    "rms_norm_eps": 1e-5,
    "max_position_embeddings": 32768,
}


@family(
    "internlm3",
    roots=("model", ""),
    defaults=INTERNLM3,
    aliases={"attention_bias": "qkv_bias", "mlp_bias": "bias"},
)
def internlm3(config: Config, root: str) -> CausalLM:
    """`qkv_bias` is for queries, keys and values, `bias` for all other matrices."""
    bias = config["mlp_bias"]
    return decoder(
        config,
        root,
        projections=four_projections(qkv_bias=config["attention_bias"], o_bias=bias),
        feed_forward=gated_mlp(config, "mlp", bias=bias),
    )
