"""Parts of MiniMax-M3's language model, and the ways in which it is spelled. Source: `MiniMaxM3VLTextModel`."""

from __future__ import annotations

from typing import NamedTuple

from msgspec.structs import replace

from weightscope.components.attention import Attention
from weightscope.components.attention.block_indexer import BlockIndexer, BlockSparseAttention
from weightscope.components.base import Component
from weightscope.components.feed_forward.mlp import GatedMLP
from weightscope.components.feed_forward.moe import MixtureOfExperts
from weightscope.components.feed_forward.routing import Routing
from weightscope.config import Config
from weightscope.families.common import Dims, depth_of, rms_norms, rotary, visible
from weightscope.families.common.layer_types import FULL
from weightscope.families.common.mixtures import STACK
from weightscope.families.common.parts import four_projections, fused_gated_mlp, gated_mlp, head_norms, self_attention
from weightscope.families.common.refusals import not_computed
from weightscope.sizes import Size

SPARSE = "minimax_m3_sparse"
# The keys of an indexer, by those that published configs have in an object of their own.
INDEXING = {
    "index_n_heads": "sparse_num_index_heads", "index_head_dim": "sparse_index_dim",
    "index_block_size": "sparse_block_size", "index_topk_blocks": "sparse_topk_blocks",
}  # fmt: skip


class Spelling(NamedTuple):
    """The decoder's prefix, and whether it is named and fused as transformers 5 holds it."""

    prefix: str
    held: bool = True


ROOTS = {
    "model": Spelling("model", held=False),
    "model, as transformers 5 holds it": Spelling("model"),
    "": Spelling(""),
    "model.language_model": Spelling("model.language_model"),
}


def sparse_layers(config: Config) -> list[bool]:
    """Which layers have an indexer; the class takes every other kind for full attention."""
    listed, flags = config["layer_types"], (config["sparse_attention_config"] or {}).get("sparse_attention_freq")
    if listed is None:
        listed = [SPARSE if flag else FULL for flag in flags] if flags else [FULL] * depth_of(config)
    _check(config, "layer_types", listed)
    return [kind == SPARSE for kind in listed]


def mixed_layers(config: Config) -> list[bool]:
    """Which layers have a mixture: all, unless the config lists kinds or flags."""
    listed, flags = config["mlp_layer_types"], config["moe_layer_freq"]
    if listed is None:
        if flags is not None and not isinstance(flags, list):
            raise config.error(f"'moe_layer_freq' is {flags!r:.60}, not a list")
        listed = ["sparse" if flag else "dense" for flag in flags] if flags else ["sparse"] * depth_of(config)
    _check(config, "mlp_layer_types", listed)
    return [kind == "sparse" for kind in listed]


def m3_attention(config: Config, spelling: Spelling, *, sparse: bool) -> Attention | BlockSparseAttention:
    """Norms of queries and keys multiply by 1 + w."""
    s, norm = Dims.of(config), rms_norms(config["rms_norm_eps"], offset=1.0)
    attention = self_attention(
        s,
        four_projections(),
        norms=head_norms(norm, s.head_dim),
        positions=rotary(config, s.head_dim),
        sees=visible(config),
    )
    if not sparse:
        return attention
    heads, head_dim, block, keep = (_indexing(config, key) for key in INDEXING)
    indexer = BlockIndexer(
        prefix="indexer." if spelling.held else "index_",
        width=s.width,
        heads=heads,
        head_dim=head_dim,
        block=block,
        keep=keep,
        eps=config["rms_norm_eps"],
    )
    return BlockSparseAttention(name="self_attn", attention=replace(attention, name=""), indexer=indexer)


def m3_attentions(config: Config, spelling: Spelling) -> list[Component]:
    """The attention of each layer."""
    kinds = [m3_attention(config, spelling, sparse=sparse) for sparse in (False, True)]
    return [kinds[sparse] for sparse in sparse_layers(config)]


def m3_feed_forwards(config: Config, spelling: Spelling) -> list[Component]:
    """What follows the attention of each layer."""
    dense = m3_mlp(config, spelling, "mlp", config["dense_intermediate_size"])
    mixed = m3_mixture(config, spelling)
    return [mixed if mixes else dense for mixes in mixed_layers(config)]


def m3_mlp(config: Config, spelling: Spelling, name: str, inner: Size) -> GatedMLP:
    """(up + 1) ⊙ g·sigmoid(α·g), both bounded."""
    make = fused_gated_mlp if spelling.held else gated_mlp
    return _bounded(config, make(config, name, inner=inner, activation="silu"))


def m3_mixture(config: Config, spelling: Spelling) -> MixtureOfExperts:
    """Sigmoid scores with a correction, and a shared expert."""
    names = ("w1", "w3", "w2")
    held = spelling.held
    return MixtureOfExperts(
        name="mlp" if held else "block_sparse_moe",
        width=config["hidden_size"],
        experts=config["num_local_experts"],
        chosen=config["num_experts_per_tok"],
        expert=_bounded(config, gated_mlp(config, "", names=names, activation="silu")),
        routing=Routing(score="sigmoid", scale=float(config["routed_scaling_factor"]), added=0.0),
        shared=m3_mlp(config, spelling, "shared_experts", config["shared_intermediate_size"]),
        correction="gate.e_score_correction_bias" if held else "e_score_correction_bias",
        stacked=STACK if held else None,
    )


def uncomputed(config: Config) -> str:
    """Why there is no forward pass: an indexer over later positions, or a rotation that transformers does not read."""
    refused = not_computed(config, "MiniMax-M3", {"is_causal": (True, None)}) if any(sparse_layers(config)) else ""
    stated, size = config["rotary_dim"], config["head_dim"]
    shares = (config["partial_rotary_factor"], (config["rope_scaling"] or config["rope_parameters"] or {}))
    said = shares[0] is not None or "partial_rotary_factor" in shares[1]
    if refused or said or stated is None or stated == size:
        return refused
    sizes = f"rotary_dim {int(stated)} of head_dim {int(size)}"
    return f"MiniMax-M3 with {sizes}, and no partial_rotary_factor in rope_parameters"


def _bounded(config: Config, mlp: GatedMLP) -> GatedMLP:
    return replace(mlp, limit=float(config["swiglu_limit"]), lift=1.0, steepness=float(config["swiglu_alpha"]))


def _indexing(config: Config, key: str) -> Size:
    """One size of the indexer.

    Raises:
        ConfigError: it is no whole number.
    """
    stated = (config["sparse_attention_config"] or {}).get(INDEXING[key], config[key])
    if type(stated) is not int and not isinstance(stated, Size):
        raise config.error(f"{INDEXING[key]!r} is {stated!r:.60}, not a whole number")
    return stated if isinstance(stated, Size) else Size(stated, INDEXING[key])


def _check(config: Config, key: str, listed: list[object]) -> None:
    if len(listed) != depth_of(config):
        raise config.error(f"{key} does not name {depth_of(config):,} layers, as num_hidden_layers says")
