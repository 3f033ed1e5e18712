"""BLOOM (arXiv 2211.05100): ALiBi for positions, a norm after the embedding. Source: `BloomConfig` of transformers."""

from __future__ import annotations

from typing import Any

from weightscope.components.attention import Attention
from weightscope.components.base import Repeat
from weightscope.components.decoder import Block, CausalLM, Decoder
from weightscope.components.embedding import Embedding
from weightscope.components.mlp import MLP
from weightscope.components.norm import LayerNorm
from weightscope.components.windows import depth_of
from weightscope.config import Config
from weightscope.errors import UndeclaredError
from weightscope.families.common.parts import head
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
    width, heads, eps, depth = (
        config["hidden_size"],
        config["n_head"],
        config["layer_norm_epsilon"],
        depth_of(config, "n_layer"),
    )
    block = Block(
        input_norm=LayerNorm(name="input_layernorm", role=Role.INPUT_NORM, size=width, eps=eps),
        attention=Attention(
            name="self_attention",
            items=(
                Linear("query_key_value", Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ, bias=True, groups=heads),
                Linear("dense", Role.O_PROJ, bias=True),
            ),
            width=width,
            heads=heads,
            kv_heads=heads,
            head_dim=width // heads,
            alibi=True,
        ),
        feed_forward_norm=LayerNorm(
            name="post_attention_layernorm", role=Role.POST_ATTENTION_NORM, size=width, eps=eps
        ),
        feed_forward=MLP(
            name="mlp",
            items=(
                Linear("dense_h_to_4h", Role.UP_PROJ, bias=True),
                Linear("dense_4h_to_h", Role.DOWN_PROJ, bias=True),
            ),
            width=width,
            inner=width * 4,
            activation="gelu_new",
        ),
    )
    return CausalLM(
        decoder=Decoder(
            name=root,
            embedding=Embedding(name="word_embeddings", rows=config["vocab_size"], width=width),
            embedding_norm=LayerNorm(name="word_embeddings_layernorm", role=Role.EMBEDDING_NORM, size=width, eps=eps),
            blocks=(Repeat(name="h", indices=range(depth), child=block),),
            final_norm=LayerNorm(name="ln_f", role=Role.FINAL_NORM, size=width, eps=eps),
            depth=depth,
        ),
        head=head(config, root),
    )
