"""AFM-4.5B (Arcee 2025): Llama with two matrices and a squared ReLU in the MLP. Source: `ArceeConfig`."""

from __future__ import annotations

from weightscope.components.decoder import CausalLM
from weightscope.config import Config
from weightscope.families.common.defaults import LLAMA
from weightscope.families.common.llama_like import decoder
from weightscope.families.common.parts import four_projections, mlp
from weightscope.families.registry import family

ARCEE = LLAMA | {
    "hidden_size": 2560,
    "intermediate_size": 18432,
    "hidden_act": "relu2",
    "rms_norm_eps": 1e-5,
    "max_position_embeddings": 4096,
}


@family("arcee", roots=("model", ""), defaults=ARCEE)
def arcee(config: Config, root: str) -> CausalLM:
    """Biases on all projections or none, on both matrices of the MLP or none."""
    bias = config["attention_bias"]
    return decoder(
        config,
        root,
        projections=four_projections(qkv_bias=bias, o_bias=bias),
        feed_forward=mlp(config, "mlp", bias=config["mlp_bias"]),
    )
