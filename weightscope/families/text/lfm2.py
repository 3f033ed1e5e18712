"""LFM2 (arXiv 2511.23404): short convolutions among attention. Source: `Lfm2Config` of transformers."""

from __future__ import annotations

from typing import Any

from weightscope.components.decoder import CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common.lfm2_like import decoder
from weightscope.families.common.parts import gated_mlp
from weightscope.families.registry import family
from weightscope.sizes import Size

LFM2: dict[str, Any] = {
    "vocab_size": 65536,
    "hidden_size": 2560,
    "intermediate_size": 12288,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": Nullable(int, 8),
    "head_dim": Nullable(int),
    "max_position_embeddings": 128000,
    "norm_eps": 1e-5,
    "rope_theta": 1000000.0,
    "tie_word_embeddings": True,
    "conv_bias": False,
    "conv_L_cache": 3,
    "block_multiple_of": 256,
    "block_ffn_dim_multiplier": Nullable(float, 1.0),
    "block_auto_adjust_ff_dim": True,
    "full_attn_idxs": Nullable(list),
}
# The keys as Liquid spelled them before transformers had the model.
ALIASES = {"intermediate_size": "block_ff_dim", "tie_word_embeddings": "tie_embedding"}


@family("lfm2", roots=("model", ""), defaults=LFM2, aliases=ALIASES)
def lfm2(config: Config, root: str) -> CausalLM:
    """Without `layer_types` the layers in `full_attn_idxs` attend, or all of them."""
    attending = config["full_attn_idxs"]
    mlp = gated_mlp(config, "feed_forward", inner=_inner(config), activation="silu", names=("w1", "w3", "w2"))
    return decoder(
        config,
        root,
        lambda _: mlp,
        lambda layer: "full_attention" if attending is None or layer in attending else "conv",
    )


def _inner(config: Config) -> Size:
    """With `block_auto_adjust_ff_dim` two thirds of the stated width, rounded up to a multiple."""
    stated: Size = config["intermediate_size"]
    times, multiple = config["block_ffn_dim_multiplier"], int(config["block_multiple_of"])
    if not config["block_auto_adjust_ff_dim"]:
        return stated
    inner = 2 * int(stated) // 3
    if times is not None:
        if not 0 < times < 1e6:
            raise config.error(f"'block_ffn_dim_multiplier' is {times!r}, which no model has")
        inner = -(-int(times * inner) // multiple) * multiple
    return Size(inner, f"⅔·{stated.text}, rounded up", stated.keys)
