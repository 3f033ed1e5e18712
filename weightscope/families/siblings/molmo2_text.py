"""Molmo 2's language model, and the ways in which it is spelled on disk. Source: `Molmo2TextModel` of transformers."""

from __future__ import annotations

from typing import NamedTuple

from weightscope.components.attention import Attention, HeadNorms, Rope, WholeNorms
from weightscope.components.decoder import Block
from weightscope.components.embedding import Embedding
from weightscope.components.extended_embedding import ExtendedEmbedding
from weightscope.components.feed_forward.mlp import GatedMLP
from weightscope.config import Config
from weightscope.families.common import Dims, depth_of, rms_norms, rotary, visible
from weightscope.families.common.parts import four_projections, gated_mlp, head_norms, self_attention
from weightscope.roles import Role
from weightscope.storage.base import StorageItem
from weightscope.storage.linear import Linear


class Spelling(NamedTuple):
    """The decoder's prefix, names of its parts, and whether it is named and split as transformers 5 holds it.

    Where a table of tokens is `halved`, its two tensors have as many rows.
    """

    prefix: str
    layers: str = "layers"
    norm: str = "norm"
    held: bool = True
    halved: bool = False


# 5.23 writes the table of tokens in halves, wherever the added ones begin.
SAVED = "model.transformer, the table halved"
ROOTS = {
    "model.transformer": Spelling("model.transformer", "blocks", "ln_f", held=False),
    SAVED: Spelling("model.transformer", "blocks", "ln_f", held=False, halved=True),
    "model.language_model": Spelling("model.language_model"),
    "": Spelling("", held=False, halved=True),
    "alone, as transformers 5 holds it": Spelling(""),
}


def embedding(config: Config, spelling: Spelling) -> Embedding:
    """Added tokens follow on the vocabulary, as published in a tensor of their own."""
    base, more, width = config["vocab_size"], config["additional_vocab_size"], config["hidden_size"]
    rows = base + more
    if spelling.held:
        return Embedding(name="embed_tokens", rows=rows, width=width)
    if spelling.halved:
        more, base = rows // 2, rows - rows // 2
    added = Embedding(name="", rows=more, width=width, leaf="new_embedding")
    return ExtendedEmbedding(name="wte", rows=rows, width=width, leaf="embedding", base=base, added=added)


def projections(config: Config, spelling: Spelling) -> tuple[StorageItem, ...]:
    """As published queries, keys and values are one matrix."""
    bias = config["attention_bias"]
    if spelling.held:
        return four_projections(qkv_bias=bias)
    fused = Linear("att_proj", Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ, bias=bias)
    return fused, Linear("attn_out", Role.O_PROJ)


def attention(config: Config, spelling: Spelling, turns: Rope) -> Attention:
    """Queries and keys are normed head by head, or all heads together.

    Raises:
        UndeclaredError: they are normed otherwise.
    """
    s, norm, kind = Dims.of(config), rms_norms(config["rms_norm_eps"]), config["qk_norm_type"]
    if kind not in ("qwen3", "olmo"):
        raise config.undeclared(f"Molmo 2 with {config.prefix}qk_norm_type {kind!r:.60} is not declared")
    norms: HeadNorms | WholeNorms = head_norms(norm, s.head_dim)
    if kind == "olmo":
        norms = WholeNorms(query=norm("q_norm", Role.Q_NORM, s.queries), key=norm("k_norm", Role.K_NORM, s.keys))
    return self_attention(s, projections(config, spelling), norms=norms, positions=turns, sees=visible(config))


def feed_forward(config: Config, spelling: Spelling) -> GatedMLP:
    """As published the rows of one matrix are all ups, then all gates."""
    if spelling.held:
        return gated_mlp(config, "mlp")
    return GatedMLP(
        name="mlp",
        items=(Linear("ff_proj", Role.UP_PROJ, Role.GATE_PROJ), Linear("ff_out", Role.DOWN_PROJ)),
        width=config["hidden_size"],
        inner=config["intermediate_size"],
        activation=config["hidden_act"],
    )


def blocks(config: Config, spelling: Spelling) -> list[Block]:
    """The layers: those that `rope_scaling_layers` names have the scaled rotation, all where it is absent."""
    s, norm, depth = Dims.of(config), rms_norms(config["rms_norm_eps"]), depth_of(config)
    scaled = rotary(config, s.head_dim)
    plain = rotary(config, s.head_dim, settings={"rope_theta": scaled.theta})
    listed = config["rope_scaling_layers"]
    names = ("input_layernorm", "post_attention_layernorm") if spelling.held else ("attn_norm", "ff_norm")
    first, second = norm(names[0], Role.INPUT_NORM, s.width), norm(names[1], Role.POST_ATTENTION_NORM, s.width)
    after, mlp = config["norm_after"], feed_forward(config, spelling)

    def block(turns: Rope) -> Block:
        return Block(
            input_norm=None if after else first,
            attention=attention(config, spelling, turns),
            attention_out_norm=first if after else None,
            feed_forward_norm=None if after else second,
            feed_forward=mlp,
            feed_forward_out_norm=second if after else None,
        )

    kinds = block(plain), block(scaled)
    return [kinds[listed is None or i in listed] for i in range(depth)]
