"""RWKV-4 (arXiv 2305.13048). Source: `RwkvConfig` of transformers."""

from weightscope.components.decoder import Block, CausalLM
from weightscope.components.norm import LayerNorm
from weightscope.components.recurrent.rwkv import ChannelMix, TimeMix
from weightscope.config import Config, Nullable
from weightscope.families.common import DECODER, Output, causal_lm, depth_of, token_embedding
from weightscope.families.common.numbers import number
from weightscope.families.registry import family
from weightscope.roles import Role

RWKV = DECODER | {
    "vocab_size": 50277, "hidden_size": 4096, "num_hidden_layers": 32, "attention_hidden_size": Nullable(int),
    "intermediate_size": Nullable(int), "layer_norm_epsilon": 1e-5, "rescale_every": 6,
}  # fmt: skip
# The class gives the last norm no epsilon of the config's.
LAST_EPS = 1e-5


@family("rwkv", roots=("rwkv", ""), defaults=RWKV, needs=("vocab_size", "hidden_size", "num_hidden_layers"))
def rwkv(config: Config, root: str) -> CausalLM:
    """The norm of the embeddings lies in the first block."""
    width, depth, every = config["hidden_size"], depth_of(config), int(config["rescale_every"])
    eps = number(config, "layer_norm_epsilon")

    def norm(name: str, role: Role, halvings: int = 0, eps: float = eps) -> LayerNorm:
        # The class halves everything after so many layers, which norms see only beside their epsilon.
        return LayerNorm(name=name, role=role, size=width, eps=eps * 4.0 ** min(halvings, 400))

    def layer(i: int) -> Block:
        halvings = i // every if every else 0
        return Block(
            input_norm=norm("ln1", Role.INPUT_NORM, halvings),
            attention=TimeMix(name="attention", width=width, inner=config["attention_hidden_size"] or width),
            feed_forward_norm=norm("ln2", Role.PRE_FEEDFORWARD_NORM, halvings),
            feed_forward=ChannelMix(name="feed_forward", width=width, inner=config["intermediate_size"] or width * 4),
        )

    return causal_lm(
        config,
        root,
        layer,
        embedding=token_embedding(config, "embeddings"),
        embedding_norm=norm("blocks.0.pre_ln", Role.EMBEDDING_NORM) if depth else None,
        layers="blocks",
        final_norm=norm("ln_out", Role.FINAL_NORM, depth // every if every else 0, LAST_EPS),
        output=Output(name="head"),
    )
