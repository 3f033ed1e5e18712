"""Parts of DeepSeek-V4: how it is spelled, the kind of each layer, rotations, attention, mixtures and streams."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import replace

from weightscope.components.attention.compressed import CompressedAttention, CompressedNames
from weightscope.components.attention.compressor import CompressedIndexer, Compressor
from weightscope.components.attention.rope import Rope
from weightscope.components.base import Component, Repeat
from weightscope.components.feed_forward.experts import TokenExperts
from weightscope.components.feed_forward.moe import MixtureOfExperts, Stack
from weightscope.components.feed_forward.routing import Routing
from weightscope.components.hyper import HyperBlock, HyperConnection
from weightscope.components.prediction.next_tokens import NextTokens
from weightscope.components.projection import Projection
from weightscope.config import Config
from weightscope.families.common import depth_of, rms_norms, rotary
from weightscope.families.common.layer_types import SLIDING
from weightscope.families.common.mixtures import STACK
from weightscope.families.common.parts import gated_mlp
from weightscope.roles import Role
from weightscope.sizes import Size

SPARSE, HEAVY = "compressed_sparse_attention", "heavily_compressed_attention"
RATIOS = {0: SLIDING, 4: SPARSE, 128: HEAVY}
RATES = {SPARSE: 4, HEAVY: 128}
LISTED, ROUTED = "hash_moe", "moe"
LABELS = ("main", "compress")
# The share of a head that turns, of which a config says nothing.
IN_HEAD = 64 / 512


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """What a spelling calls the parts; the defaults are DeepSeek's own names."""

    prefix: str = ""
    embedding: str = "embed"
    head: str = "head"
    attention: str = "attn"
    names: CompressedNames = CompressedNames()
    compressor: tuple[str, str, str, str] = ("wkv", "wgate", "ape", "norm")
    # The indexer and its compressor, by their paths below attention, and the indexer's own two matrices.
    indexer: tuple[str, str] = ("indexer", "compressor")
    index: tuple[str, str] = ("wq_b", "weights_proj")
    norms: tuple[str, str] = ("attn_norm", "ffn_norm")
    # Module and beginning of the tensors' names, for attention, the mixture and the head.
    streams: tuple[tuple[str, str], ...] = (("", "hc_attn_"), ("", "hc_ffn_"), ("", "hc_head_"))
    feed_forward: str = "ffn"
    experts: tuple[str, str, str] = ("w1", "w3", "w2")
    correction: str = "gate.bias"
    stacked: Stack | None = None


PUBLISHED = Layout()
# 5.23 keeps its own names outside of the layers, and gives one norm back under too short a name.
SAVED = Layout(
    prefix="model",
    embedding="embed_tokens",
    names=CompressedNames(key_norm="norm"),
    streams=(*PUBLISHED.streams[:2], ("hc_head", "hc_")),
)
IN_MEMORY = Layout(
    prefix="model",
    embedding="embed_tokens",
    head="lm_head",
    attention="self_attn",
    names=CompressedNames(
        q_a="q_a_proj", q_b="q_b_proj", key="kv_proj", o_a="o_a_proj", o_b="o_b_proj", sinks="sinks", q_norm="q_a_norm"
    ),
    compressor=("kv_proj", "gate_proj", "position_bias", "kv_norm"),
    indexer=("compressor.indexer", ""),
    index=("q_b_proj", "scorer.weights_proj"),
    norms=("input_layernorm", "post_attention_layernorm"),
    streams=(("attn_hc", ""), ("ffn_hc", ""), ("hc_head", "hc_")),
    feed_forward="mlp",
    experts=("gate_proj", "up_proj", "down_proj"),
    correction="gate.e_score_correction_bias",
    stacked=STACK,
)
LAYOUTS = {"as DeepSeek publishes it": PUBLISHED, "as transformers saves it": SAVED, "as held in memory": IN_MEMORY}


def v4_kinds(config: Config) -> list[str]:
    """The attention of each layer, and of those ahead: `layer_types`, or `compress_ratios`.

    Without either, the first two are heavily compressed and then every other one, sparse ones between.

    Raises:
        ConfigError: too few layers are named.
        UndeclaredError: a kind or a ratio that is not known, by name.
    """
    depth, kinds, ratios = depth_of(config), config["layer_types"], config["compress_ratios"]
    if kinds is None and ratios is None:
        return [SPARSE if i > 1 and i % 2 else HEAVY for i in range(depth)]
    key, listed, known = ("compress_ratios", ratios, RATIOS) if kinds is None else ("layer_types", kinds, _SAME)
    if len(listed) < depth:
        raise config.error(f"{key} names {len(listed):,} of {depth:,} layers")
    for kind in listed:
        if kind not in known:
            raise config.undeclared(f"attention of the kind {kind!r:.60} in {key} is not declared")
    return [known[kind] for kind in listed]


_SAME: dict[Any, str] = {kind: kind for kind in (SLIDING, SPARSE, HEAVY)}


def v4_mixtures(config: Config) -> list[str]:
    """How each layer chooses experts: `mlp_layer_types`, or the first `num_hash_layers` by a table.

    Raises:
        ConfigError: too few layers are named.
        UndeclaredError: a kind that is not known, by name.
    """
    depth, listed, first = depth_of(config), config["mlp_layer_types"], config["num_hash_layers"]
    if listed is None:
        return [LISTED if i < (3 if first is None else first) else ROUTED for i in range(depth)]
    if len(listed) < depth:
        raise config.error(f"mlp_layer_types names {len(listed):,} of {depth:,} layers")
    for kind in listed:
        if kind not in (LISTED, ROUTED):
            raise config.undeclared(f"mixtures of the kind {kind!r:.60} are not declared")
    return list(listed[:depth])


def v4_rope(config: Config, *, compressed: bool) -> Rope:
    """The rotation of the last elements of a head. Layers that compress have a theta of their own, and the scaling.

    A scaling by YaRN leaves the rotated vectors as large as they are, unless it says otherwise. transformers 5 writes
    both rotations out, under labels.
    """
    size, given = config["head_dim"], config["rope_scaling"] or config["rope_parameters"] or {}
    share, turns = config["partial_rotary_factor"], config["qk_rope_head_dim"]
    nested = given.get("compress" if compressed else "main")
    if isinstance(given.get("main"), dict) and isinstance(nested, dict):
        own = {"rope_theta": float(config["rope_theta"])} | nested
        return rotary(config, size, interleaved=True, settings=own)
    if share is None:
        share = IN_HEAD if turns is None else float(turns) / float(size)
    settings: dict[str, Any] = {} if not compressed else {key: given[key] for key in given if key not in LABELS}
    theta = config["compress_rope_theta" if compressed else "rope_theta"]
    settings |= {"rope_theta": float(theta), "partial_rotary_factor": share}
    if "yarn" in (settings.get("rope_type"), settings.get("type")):
        settings.setdefault("attention_factor", 1.0)
    return rotary(config, size, interleaved=True, settings=settings)


def v4_attention(config: Config, layout: Layout, kind: str) -> CompressedAttention:
    """Attention of one kind, with a compressor and an indexer where it has them."""
    eps, rope = config["rms_norm_eps"], v4_rope(config, compressed=kind != SLIDING)
    compressor = indexer = None
    if kind != SLIDING:
        compressor = Compressor(
            name="compressor",
            width=config["hidden_size"],
            head_dim=config["head_dim"],
            rate=_rate(config, kind),
            overlap=kind == SPARSE,
            rope=rope,
            eps=eps,
            names=layout.compressor,
        )
    if kind == SPARSE and compressor:
        name, below = layout.indexer
        indexer = CompressedIndexer(
            name=name,
            width=config["hidden_size"],
            q_rank=config["q_lora_rank"],
            heads=config["index_n_heads"],
            keep=config["index_topk"],
            compressor=replace(compressor, name=below, head_dim=config["index_head_dim"]),
            names=layout.index,
        )
    return CompressedAttention(
        name=layout.attention,
        names=layout.names,
        width=config["hidden_size"],
        heads=config["num_attention_heads"],
        head_dim=config["head_dim"],
        q_rank=config["q_lora_rank"],
        groups=config["o_groups"],
        rank=config["o_lora_rank"],
        window=config["sliding_window"],
        rope=rope,
        eps=eps,
        compressor=compressor,
        indexer=indexer,
    )


def _rate(config: Config, kind: str) -> Size:
    """Tokens to a compressed key in layers of that kind.

    Raises:
        ConfigError: it is no number, or none at all.
    """
    older = config["compress_rate_csa" if kind == SPARSE else "compress_rate_hca"]
    rate = older if older is not None else (config["compress_rates"] or RATES).get(kind)
    if isinstance(rate, bool) or not isinstance(rate, int) or rate < 1:
        raise config.error(f"compress_rates of {kind} is {rate!r:.60}, not a number of tokens")
    return Size(rate, "compress_rates")


def v4_mixture(config: Config, layout: Layout, kind: str) -> MixtureOfExperts:
    """√softplus or sigmoid of the router's logits; gate and up are bounded, and shared experts may have biases."""
    inner, limit = config["moe_intermediate_size"], config["swiglu_limit"]
    expert = replace(gated_mlp(config, "", inner=inner, names=layout.experts), limit=limit)
    table = TokenExperts(
        name="gate",
        table="tid2eid",
        vocabulary=config["vocab_size"],
        chosen=config["num_experts_per_tok"],
        experts=config["n_routed_experts"],
    )
    return MixtureOfExperts(
        name=layout.feed_forward,
        width=config["hidden_size"],
        experts=config["n_routed_experts"],
        chosen=config["num_experts_per_tok"],
        expert=expert,
        routing=Routing(
            score="sigmoid" if config["scoring_func"] == "sigmoid" else "sqrtsoftplus",
            scale=float(config["routed_scaling_factor"]),
        ),
        shared=replace(
            gated_mlp(config, "shared_experts", inner=inner, bias=config["mlp_bias"], names=layout.experts), limit=limit
        ),
        correction=layout.correction if kind == ROUTED else None,
        by_token=table if kind == LISTED else None,
        stacked=layout.stacked,
    )


def v4_streams(config: Config, layout: Layout, place: int, *, last: bool = False) -> HyperConnection:
    """What connects streams: 0 before attention, 1 before the mixture, 2 at the end."""
    name, leaf = layout.streams[place]
    return HyperConnection(
        name=name,
        leaf=leaf,
        width=config["hidden_size"],
        streams=config["hc_mult"],
        eps=config["rms_norm_eps"],
        floor=config["hc_eps"],
        iterations=int(config["hc_sinkhorn_iters"]),
        last=last,
    )


def v4_block(config: Config, layout: Layout, attention: str, mixture: str) -> HyperBlock:
    """One layer of those kinds."""
    norm, width, (first, second) = rms_norms(config["rms_norm_eps"]), config["hidden_size"], layout.norms
    return HyperBlock(
        attention_streams=v4_streams(config, layout, 0),
        input_norm=norm(first, Role.INPUT_NORM, width),
        attention=v4_attention(config, layout, attention),
        feed_forward_streams=v4_streams(config, layout, 1),
        feed_forward_norm=norm(second, Role.POST_ATTENTION_NORM, width),
        feed_forward=v4_mixture(config, layout, mixture),
    )


def v4_ahead(config: Config, kinds: list[str]) -> tuple[Component, ...]:
    """Layers that predict further tokens, under DeepSeek's names; embedding and head are those of the model."""
    count, width, norm = config["num_nextn_predict_layers"], config["hidden_size"], rms_norms(config["rms_norm_eps"])
    depth, parts = depth_of(config), []
    for number in range(count):
        kind = kinds[depth + number] if depth + number < len(kinds) else SLIDING
        ahead = NextTokens(
            joined=None,
            width=width,
            parts=(
                norm("enorm", Role.EMBEDDING_NORM, width),
                norm("hnorm", Role.NORM, width),
                *(
                    Projection(name=name, inputs=width, outputs=width, bias=False, role=Role.MTP_PROJ)
                    for name in ("e_proj", "h_proj")
                ),
                v4_block(config, PUBLISHED, kind, ROUTED),
                v4_streams(config, PUBLISHED, 2, last=True),
                norm("norm", Role.FINAL_NORM, width),
            ),
        )
        parts.append(Repeat(name="mtp", indices=range(number, number + 1), child=ahead))
    return tuple(parts)
