"""BLOOM (arXiv 2211.05100): ALiBi for positions, a norm after the embedding. Source: `BloomConfig` of transformers."""

from __future__ import annotations

from typing import Any

from weightscope.components.attention.attend_old import Alibi
from weightscope.components.decoder import CausalLM
from weightscope.config import Config
from weightscope.errors import UndeclaredError
from weightscope.families.common.dims import depth_of
from weightscope.families.common.gpt_like import Layout, Shape, decoder
from weightscope.families.registry import family
from weightscope.roles import Role
from weightscope.storage.linear import Linear

BLOOM: dict[str, Any] = {
    "vocab_size": 250880,
    "hidden_size": 64,
    "n_layer": 2,
    "n_head": 8,
    "layer_norm_epsilon": 1e-5,
    "apply_residual_connection_post_layernorm": False,
    "tie_word_embeddings": True,
}
# The keys as configs before transformers 4.20 spell them.
ALIASES = {"hidden_size": "n_embed", "n_layer": "num_hidden_layers", "n_head": "num_attention_heads"}
LAYOUT = Layout(
    embedding="word_embeddings",
    embedding_norm="word_embeddings_layernorm",
    input_norm="input_layernorm",
    second_norm="post_attention_layernorm",
    attention="self_attention",
    matrices=("dense_h_to_4h", "dense_4h_to_h"),
)


@family(
    "bloom",
    roots=("transformer", ""),
    defaults=BLOOM,
    aliases=ALIASES,
    needs=("vocab_size", "hidden_size", "n_layer", "n_head"),
)
def bloom(config: Config, root: str) -> CausalLM:
    """Rows of `query_key_value` are, head by head, its query, key and value; published without the root."""
    if config["apply_residual_connection_post_layernorm"]:
        raise UndeclaredError(
            "BLOOM with apply_residual_connection_post_layernorm is not declared", where=config.source
        )
    width, heads = config["hidden_size"], config["n_head"]
    shape = Shape(
        width=width,
        heads=heads,
        depth=depth_of(config, "n_layer"),
        inner=width * 4,
        eps=config["layer_norm_epsilon"],
        activation="gelu_new",
    )
    projections = (
        Linear("query_key_value", Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ, bias=True, groups=heads),
        Linear("dense", Role.O_PROJ, bias=True),
    )
    return decoder(
        config,
        root,
        LAYOUT,
        shape,
        projections,
        attention={"alibi": Alibi(heads=heads)},
        heads={"tagger": "classifier"},
    )
