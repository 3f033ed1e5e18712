"""Kosmos-2's language model: norms within attention and MLP too, positions as sines and cosines."""

from __future__ import annotations

from math import sqrt
from typing import Any

from weightscope.components.attention import CAUSAL
from weightscope.components.base import Repeat
from weightscope.components.decoder import Block, CausalLM, Decoder
from weightscope.components.embedding import Embedding, Head
from weightscope.components.feed_forward.mlp import MLP
from weightscope.config import Config, Nullable
from weightscope.families.common import Dims, layer_norms
from weightscope.families.common.parts import linears, self_attention
from weightscope.families.common.sinusoids import sinusoids
from weightscope.families.siblings.clip import PROJECTIONS
from weightscope.roles import Role
from weightscope.storage.linear import Linear

TEXT: dict[str, Any] = {
    "vocab_size": 65037, "max_position_embeddings": 2048, "embed_dim": 2048, "layers": 24, "ffn_dim": 8192,
    "attention_heads": 32, "activation_function": "gelu", "layer_norm_eps": 1e-5, "scale_embedding": True,
    "tie_word_embeddings": True, "pad_token_id": Nullable(int, 1), "add_cross_attention": False,
}  # fmt: skip
TEXT_NAMES = {"num_attention_heads": "attention_heads", "hidden_size": "embed_dim", "num_hidden_layers": "layers"}


def language_model(config: Config, *, head: bool, tied: bool) -> CausalLM:
    """The decoder, and where there is a `head` what scores the vocabulary.

    Raises:
        UndeclaredError: its layers look at an encoder.
    """
    if config["add_cross_attention"]:
        raise config.undeclared("Kosmos-2 with text_config.add_cross_attention is not declared")
    s, norm, inner = Dims.of(config, even=True), layer_norms(config["layer_norm_eps"]), config["ffn_dim"]
    block = Block(
        input_norm=norm("self_attn_layer_norm", Role.INPUT_NORM, s.width),
        attention=self_attention(
            s, linears(PROJECTIONS, bias=True), sees=CAUSAL, out_norm=norm("inner_attn_ln", Role.SUB_NORM, s.width)
        ),
        feed_forward_norm=norm("final_layer_norm", Role.POST_ATTENTION_NORM, s.width),
        feed_forward=MLP(
            name="ffn",
            items=(Linear("fc1", Role.UP_PROJ, bias=True), Linear("fc2", Role.DOWN_PROJ, bias=True)),
            width=s.width,
            inner=inner,
            activation=config["activation_function"],
            norm=norm("ffn_layernorm", Role.SUB_NORM, inner),
        ),
    )
    table = Embedding(name="embed_tokens", rows=config["vocab_size"], width=s.width, scale=scale_of(config))
    return CausalLM(
        decoder=Decoder(
            name="model",
            embedding=table,
            positions=sinusoids(config, config["max_position_embeddings"]),
            blocks=(Repeat(name="layers", indices=range(s.depth), child=block),),
            final_norm=norm("layer_norm", Role.FINAL_NORM, s.width),
            depth=s.depth,
        ),
        head=Head(name="lm_head", vocabulary=table.rows, width=s.width, tied=tied) if head else None,
    )


def scale_of(config: Config) -> float:
    """What embeddings are multiplied by."""
    return sqrt(config["embed_dim"]) if config["scale_embedding"] else 1.0
