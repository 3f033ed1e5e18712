"""LFM2 (arXiv 2511.23404): short convolutions among attention. Source: `Lfm2Config` of transformers."""

from weightscope.components.decoder import CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import Dims, causal_lm, rms_norms
from weightscope.families.common.layer_types import FULL, layer_types
from weightscope.families.common.parts import gated_mlp
from weightscope.families.registry import family
from weightscope.families.siblings.lfm2 import KINDS, LFM2_BOTH, lfm2_block
from weightscope.roles import Role
from weightscope.sizes import Size

LFM2 = LFM2_BOTH | {
    "hidden_size": 2560, "intermediate_size": 12288, "block_multiple_of": 256,
    "block_ffn_dim_multiplier": Nullable(float, 1.0), "block_auto_adjust_ff_dim": True,
    "full_attn_idxs": Nullable(list),
}  # fmt: skip
# The keys as Liquid spelled them before transformers had the model.
SPELLED = {"block_ff_dim": "intermediate_size", "tie_embedding": "tie_word_embeddings"}


@family("lfm2", roots=("model", ""), defaults=LFM2, attribute_map=SPELLED)
def lfm2(config: Config, root: str) -> CausalLM:
    """Without `layer_types` the layers in `full_attn_idxs` attend, or all of them."""
    s, norm, attends = Dims.of(config), rms_norms(config["norm_eps"]), config["full_attn_idxs"]
    kinds = layer_types(config, lambda i: FULL if attends is None or i in attends else "conv", known=KINDS)
    mlp = gated_mlp(config, "feed_forward", inner=inner_width(config), activation="silu", names=("w1", "w3", "w2"))
    return causal_lm(
        config,
        root,
        lambda i: lfm2_block(config, s, kinds[i], mlp),
        final_norm=norm("embedding_norm", Role.FINAL_NORM, s.width),
    )


def inner_width(config: Config) -> Size:
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
