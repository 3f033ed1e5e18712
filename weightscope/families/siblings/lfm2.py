"""What LFM2 and its mixtures are made of (arXiv 2511.23404): short convolutions, attention, the block around them."""

from __future__ import annotations

from weightscope.components.attention import Attention
from weightscope.components.base import Component
from weightscope.components.decoder import Block
from weightscope.components.recurrent.convolution import ShortConvolution
from weightscope.config import Config, Nullable
from weightscope.families.common import ROTARY, Dims, rms_norms, rotary, visible
from weightscope.families.common.layer_types import FULL
from weightscope.families.common.parts import head_norms, linears, self_attention
from weightscope.roles import Role
from weightscope.storage.kernel import Kernel
from weightscope.storage.linear import Linear

LFM2_BOTH = ROTARY | {
    "vocab_size": 65536, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": Nullable(int, 8),
    "head_dim": Nullable(int), "max_position_embeddings": 128000, "norm_eps": 1e-5, "rope_theta": 1000000.0,
    "tie_word_embeddings": True, "conv_bias": False, "conv_L_cache": 3, "layer_types": Nullable(list),
}  # fmt: skip

# What mixes the tokens of a layer, under every name that configs have for it.
KINDS = {"conv": "conv", FULL: FULL, "attention": FULL}


def lfm2_block(config: Config, s: Dims, kind: str, feed_forward: Component) -> Block:
    """A norm before each half; `kind` says what mixes the tokens."""
    norm = rms_norms(config["norm_eps"])
    return Block(
        input_norm=norm("operator_norm", Role.INPUT_NORM, s.width),
        attention=attention(config, s) if kind == FULL else short_convolution(config),
        feed_forward_norm=norm("ffn_norm", Role.PRE_FEEDFORWARD_NORM, s.width),
        feed_forward=feed_forward,
    )


def short_convolution(config: Config) -> ShortConvolution:
    """Three parts of x: two gates, and what is convolved."""
    bias = config["conv_bias"]
    return ShortConvolution(
        name="conv",
        items=(
            Linear("in_proj", Role.B_PROJ, Role.C_PROJ, Role.IN_PROJ, bias=bias),
            Kernel("conv", Role.CONVOLUTION, bias=bias),
            Linear("out_proj", Role.OUT_PROJ, bias=bias),
        ),
        width=config["hidden_size"],
        kernel=config["conv_L_cache"],
    )


def attention(config: Config, s: Dims) -> Attention:
    """Each head's query and key are normed before they are rotated."""
    norm = rms_norms(config["norm_eps"])
    names = {"q_proj": Role.Q_PROJ, "k_proj": Role.K_PROJ, "v_proj": Role.V_PROJ, "out_proj": Role.O_PROJ}
    return self_attention(
        s,
        linears(names),
        norms=head_norms(norm, s.head_dim, ("q_layernorm", "k_layernorm")),
        positions=rotary(config, s.head_dim),
        sees=visible(config),
    )
