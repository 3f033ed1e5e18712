"""GPT-NeoX (arXiv 2204.06745) and Pythia: rotary attention beside the MLP. Source: `GPTNeoXConfig` of transformers."""

from __future__ import annotations

from typing import Any

from weightscope.components.decoder import CausalLM
from weightscope.config import Config
from weightscope.families.common.dims import depth_of
from weightscope.families.common.gpt_like import Layout, Shape, decoder
from weightscope.families.common.parts import causal_masks
from weightscope.families.common.rotary import rotary
from weightscope.families.registry import family
from weightscope.roles import Role
from weightscope.storage.linear import Linear

GPT_NEOX: dict[str, Any] = {
    "vocab_size": 50432,
    "hidden_size": 6144,
    "num_hidden_layers": 44,
    "num_attention_heads": 64,
    "intermediate_size": 24576,
    "hidden_act": "gelu",
    "rotary_pct": 0.25,
    "rotary_emb_base": 10000,
    "max_position_embeddings": 2048,
    "layer_norm_eps": 1e-5,
    "use_parallel_residual": True,
    "attention_bias": True,
    "tie_word_embeddings": False,
}
LAYOUT = Layout(
    embedding="embed_in",
    layers="layers",
    input_norm="input_layernorm",
    second_norm="post_attention_layernorm",
    attention="attention",
    matrices=("dense_h_to_4h", "dense_4h_to_h"),
    final_norm="final_layer_norm",
)


@family("gpt_neox", roots=("gpt_neox", ""), defaults=GPT_NEOX)
def gpt_neox(config: Config, root: str) -> CausalLM:
    """Rows of `query_key_value` are, head by head, its query, key and value."""
    width, heads, bias = config["hidden_size"], config["num_attention_heads"], config["attention_bias"]
    rope = rotary(config, width // heads)
    shape = Shape(
        width=width,
        heads=heads,
        depth=depth_of(config),
        inner=config["intermediate_size"],
        eps=config["layer_norm_eps"],
        activation=config["hidden_act"],
        parallel=config["use_parallel_residual"],
    )
    projections = (
        Linear("query_key_value", Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ, bias=bias, groups=heads),
        Linear("dense", Role.O_PROJ, bias=bias),
        rope.table("rotary_emb.inv_freq"),
        *causal_masks(config["max_position_embeddings"]),
    )
    named = {"name": "embed_out", "tagger": "classifier"}
    return decoder(config, root, LAYOUT, shape, projections, attention={"rope": rope}, heads=named)
