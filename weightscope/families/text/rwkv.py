"""RWKV-4 (arXiv 2305.13048). Source: `RwkvConfig` of transformers."""

from __future__ import annotations

from typing import Any

from weightscope.components.base import Repeat
from weightscope.components.decoder import Block, CausalLM, Decoder
from weightscope.components.embedding import Embedding
from weightscope.components.norm import LayerNorm
from weightscope.components.recurrent.rwkv import ChannelMix, TimeMix
from weightscope.config import Config, Nullable
from weightscope.families.common.dims import depth_of
from weightscope.families.common.hybrid import number
from weightscope.families.common.parts import head
from weightscope.families.registry import family
from weightscope.roles import Role

RWKV: dict[str, Any] = {
    "vocab_size": 50277,
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "attention_hidden_size": Nullable(int),
    "intermediate_size": Nullable(int),
    "layer_norm_epsilon": 1e-5,
    "rescale_every": 6,
    "tie_word_embeddings": False,
}


@family("rwkv", roots=("rwkv", ""), defaults=RWKV, needs=("vocab_size", "hidden_size", "num_hidden_layers"))
def rwkv(config: Config, root: str) -> CausalLM:
    """The norm of the embeddings lies in the first block."""
    width, depth, every = config["hidden_size"], depth_of(config), int(config["rescale_every"])

    def norm(name: str, role: Role, halvings: int = 0) -> LayerNorm:
        # The class halves everything after so many layers, which norms see only beside their epsilon.
        eps = number(config, "layer_norm_epsilon") * 4.0 ** min(halvings, 400)
        return LayerNorm(name=name, role=role, size=width, eps=eps)

    def block(halvings: int) -> Block:
        return Block(
            input_norm=norm("ln1", Role.INPUT_NORM, halvings),
            attention=TimeMix(name="attention", width=width, inner=config["attention_hidden_size"] or width),
            feed_forward_norm=norm("ln2", Role.PRE_FEEDFORWARD_NORM, halvings),
            feed_forward=ChannelMix(name="feed_forward", width=width, inner=config["intermediate_size"] or width * 4),
        )

    step = every or max(int(depth), 1)
    groups = [range(first, min(first + step, depth)) for first in range(0, depth, step)]
    return CausalLM(
        decoder=Decoder(
            name=root,
            embedding=Embedding(name="embeddings", rows=config["vocab_size"], width=width),
            embedding_norm=norm("blocks.0.pre_ln", Role.EMBEDDING_NORM),
            blocks=tuple(
                Repeat(name="blocks", indices=layers, child=block(group)) for group, layers in enumerate(groups)
            ),
            final_norm=norm("ln_out", Role.FINAL_NORM, depth // every if every else 0),
            depth=depth,
        ),
        head=head(config, root, name="head"),
    )
