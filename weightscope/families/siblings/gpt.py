"""What models after GPT-2 share: its keys, its names in a layer and around them, causal masks."""

from __future__ import annotations

from collections.abc import Callable

from weightscope.components.base import Component
from weightscope.components.decoder import Block, CausalLM
from weightscope.components.embedding import Embedding
from weightscope.config import Config, Nullable
from weightscope.families.common import DECODER, Output, causal_lm, layer_norms, token_embedding
from weightscope.families.common.parts import mlp
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.linear import Linear
from weightscope.storage.plain import Buffer

GPT = DECODER | {
    "vocab_size": 50257, "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5, "tie_word_embeddings": True,
}  # fmt: skip
# GPT-2's keys, which GPT-BigCode, GPT-J and CodeGen have too, and what they call them otherwise.
GPT2 = GPT | {
    "n_positions": 1024, "n_embd": 768, "n_layer": 12, "n_head": 12, "n_inner": Nullable(int),
}  # fmt: skip
GPT2_NAMES = {
    "hidden_size": "n_embd", "max_position_embeddings": "n_positions", "num_attention_heads": "n_head",
    "num_hidden_layers": "n_layer",
}  # fmt: skip


def gpt2_block(config: Config, attention: Component, inner: Size | None, *, stored: type[Linear] = Linear) -> Block:
    """A layer under GPT-2's names, its MLP's matrices `stored` as Linear or Conv1D."""
    width, norm = config["hidden_size"], layer_norms(config["layer_norm_epsilon"])
    activation = config["activation_function"]
    return Block(
        input_norm=norm("ln_1", Role.INPUT_NORM, width),
        attention=attention,
        feed_forward_norm=norm("ln_2", Role.POST_ATTENTION_NORM, width),
        feed_forward=mlp(width, inner, activation, names=("c_fc", "c_proj"), bias=True, stored=stored),
    )


def gpt2_lm(config: Config, root: str, layer: Callable[[int], Block]) -> CausalLM:
    """Learned positions, and GPT-2's names around the layers."""
    width, norm = config["hidden_size"], layer_norms(config["layer_norm_epsilon"])
    return causal_lm(
        config,
        root,
        layer,
        embedding=token_embedding(config, "wte"),
        positions=learned_positions("wpe", config["max_position_embeddings"], width),
        layers="h",
        final_norm=norm("ln_f", Role.FINAL_NORM, width),
        output=Output(classifier="classifier"),
    )


def learned_positions(name: str, rows: Size, width: Size, *, offset: int = 0) -> Embedding:
    """A vector for each of `rows` positions, after `offset` rows that stand for none."""
    return Embedding(
        name=name,
        role=Role.POSITION_EMBEDDING,
        rows=rows + offset if offset else rows,
        width=width,
        offset=offset,
    )


def causal_masks(positions: Size) -> tuple[Buffer, Buffer]:
    """The causal mask and the number for masked scores that old checkpoints carry in every layer."""
    return (
        Buffer("bias", Role.CAUSAL_MASK, (Size(1), Size(1), positions, positions)),
        Buffer("masked_bias", Role.CAUSAL_MASK, ()),
    )
