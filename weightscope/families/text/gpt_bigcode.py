"""SantaCoder and StarCoder (arXiv 2305.06161): GPT-2 with one key for all queries. Source: `GPTBigCodeConfig`."""

from __future__ import annotations

from typing import Any

from weightscope.components.decoder import CausalLM
from weightscope.config import Config, Nullable
from weightscope.errors import UndeclaredError
from weightscope.families.common.dims import depth_of
from weightscope.families.common.gpt_like import Layout, Shape, decoder
from weightscope.families.registry import family
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.linear import Linear

GPT_BIGCODE: dict[str, Any] = {
    "vocab_size": 50257,
    "n_positions": 1024,
    "n_embd": 768,
    "n_layer": 12,
    "n_head": 12,
    "n_inner": Nullable(int),
    "activation_function": "gelu_pytorch_tanh",
    "layer_norm_epsilon": 1e-5,
    "scale_attn_weights": True,
    "multi_query": True,
    "add_cross_attention": False,
    "tie_word_embeddings": True,
}
ALIASES = {
    "n_embd": "hidden_size",
    "n_positions": "max_position_embeddings",
    "n_head": "num_attention_heads",
    "n_layer": "num_hidden_layers",
}


@family(
    "gpt_bigcode",
    roots=("transformer", ""),
    defaults=GPT_BIGCODE,
    aliases=ALIASES,
    needs=("vocab_size", "n_positions", "n_embd", "n_layer", "n_head"),
)
def gpt_bigcode(config: Config, root: str) -> CausalLM:
    """Rows of `c_attn` are all queries, the key, the value; without `multi_query` head by head its three."""
    if config["add_cross_attention"]:
        raise UndeclaredError("GPTBigCode with add_cross_attention is not declared", where=config.source)
    width, heads, single = config["n_embd"], config["n_head"], config["multi_query"]
    shape = Shape(
        width=width,
        heads=heads,
        kv_heads=Size(1) if single else heads,
        depth=depth_of(config, "n_layer"),
        inner=config["n_inner"] or width * 4,
        eps=config["layer_norm_epsilon"],
        activation=config["activation_function"],
        positions=config["n_positions"],
    )
    projections = (
        Linear("c_attn", Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ, bias=True, groups=1 if single else heads),
        Linear("c_proj", Role.O_PROJ, bias=True),
    )
    plain = {} if config["scale_attn_weights"] else {"scale": 1.0}
    named = {"tagger": "classifier"}
    return decoder(config, root, Layout(positions="wpe"), shape, projections, attention=plain, heads=named)
