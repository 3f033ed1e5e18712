"""Falcon (arXiv 2311.16867). Sources: `FalconConfig` of transformers; `RWConfig` of the first releases."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from weightscope.components.attention.attend_old import Alibi
from weightscope.components.decoder import CausalLM
from weightscope.config import Config, Nullable
from weightscope.errors import UndeclaredError
from weightscope.families.common.dims import depth_of
from weightscope.families.common.gpt_like import Layout, Shape, decoder
from weightscope.families.common.rotary import rotary
from weightscope.families.registry import family
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.linear import Linear

FALCON: dict[str, Any] = {
    "vocab_size": 65024,
    "hidden_size": 4544,
    "num_hidden_layers": 32,
    "num_attention_heads": 71,
    "num_kv_heads": Nullable(int),
    "num_ln_in_parallel_attn": Nullable(int),
    "ffn_hidden_size": Nullable(int),
    "layer_norm_epsilon": 1e-5,
    "activation": "gelu",
    "max_position_embeddings": 2048,
    "rope_theta": 10000.0,
    "alibi": False,
    "new_decoder_architecture": False,
    "multi_query": True,
    "parallel_attn": True,
    "bias": False,
    "tie_word_embeddings": True,
}
LAYOUT = Layout(
    embedding="word_embeddings",
    attention="self_attention",
    matrices=("dense_h_to_4h", "dense_4h_to_h"),
)


@family("falcon", roots=("transformer", ""), defaults=FALCON, aliases={"hidden_size": "n_embed"})
def falcon(config: Config, root: str) -> CausalLM:
    """Rows of `query_key_value` come in groups: the queries that share a key, the key, the value.

    With `parallel_attn` both halves have the same norm, or with two of them each its own.
    """
    width, heads, grouped = config["hidden_size"], config["num_attention_heads"], config["new_decoder_architecture"]
    beside, bias, norms = config["parallel_attn"], config["bias"], config["num_ln_in_parallel_attn"]
    norms = (2 if grouped else 1) if norms is None else norms
    if (grouped and not beside) or (norms == 2 and not grouped):
        raise UndeclaredError(
            "Falcon with these norms in this decoder architecture is not declared", where=config.source
        )
    keys = (config["num_kv_heads"] or heads) if grouped else Size(1) if config["multi_query"] else heads
    names = ("ln_attn", "ln_mlp") if norms == 2 else ("input_layernorm", "" if beside else "post_attention_layernorm")
    shape = Shape(
        width=width,
        heads=heads,
        kv_heads=keys,
        depth=depth_of(config),
        inner=config["ffn_hidden_size"] or width * 4,
        eps=config["layer_norm_epsilon"],
        activation=config["activation"],
        bias=bias,
        parallel=beside,
    )
    projections = (
        Linear("query_key_value", Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ, bias=bias, groups=keys),
        Linear("dense", Role.O_PROJ, bias=bias),
    )
    near: dict[str, Any] = {"alibi": Alibi(heads=heads, scale=(width // heads) ** -0.5, rounded=True)}
    places = near if config["alibi"] else {"rope": rotary(config, width // heads)}
    layout = replace(LAYOUT, input_norm=names[0], second_norm=names[1])
    return decoder(config, root, layout, shape, projections, attention=places, heads={"tagger": "classifier"})
