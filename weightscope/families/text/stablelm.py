"""StableLM (Stability AI 2023, arXiv 2402.17834): Llama with layer norms. Source: `StableLmConfig` of transformers."""

from __future__ import annotations

from typing import Any

from weightscope.components.decoder import CausalLM
from weightscope.components.norm import LayerNorm, NumberedNorms
from weightscope.config import Config
from weightscope.families.common.llama_like import decoder
from weightscope.families.common.parts import four_projections, layer_norms
from weightscope.families.registry import family
from weightscope.roles import Role

STABLELM: dict[str, Any] = {
    "vocab_size": 50304,
    "hidden_size": 2560,
    "intermediate_size": 6912,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "hidden_act": "silu",
    "max_position_embeddings": 4096,
    "layer_norm_eps": 1e-5,
    "tie_word_embeddings": False,
    "rope_theta": 10000.0,
    "partial_rotary_factor": 0.25,
    "use_qkv_bias": False,
    "qk_layernorm": False,
    "use_parallel_residual": False,
}


@family("stablelm", roots=("model", ""), defaults=STABLELM)
def stablelm(config: Config, root: str) -> CausalLM:
    """`qk_layernorm` stores a norm for each head; with `use_parallel_residual` both halves share the first norm."""
    heads, eps, beside = config["num_attention_heads"], config["layer_norm_eps"], config["use_parallel_residual"]
    head_dim = config["hidden_size"] // heads
    sides = (("q_layernorm", Role.Q_NORM, heads), ("k_layernorm", Role.K_NORM, config["num_key_value_heads"]))
    norms = tuple(
        NumberedNorms(
            name=name, role=role, heads=count, norm=LayerNorm(name="", role=role, size=head_dim, eps=eps, bias=False)
        )
        for name, role, count in sides
    )
    return decoder(
        config,
        root,
        projections=four_projections(qkv_bias=config["use_qkv_bias"]),
        head_norms=norms if config["qk_layernorm"] else (),
        norm=layer_norms(eps),
        norm_names=("input_layernorm", None if beside else "post_attention_layernorm"),
        block={"parallel": beside},
    )
