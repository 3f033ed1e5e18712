"""The delta nets of OLMo Hybrid, and the ways in which it is spelled on disk. Source: `OlmoHybridGatedDeltaNet`."""

from __future__ import annotations

from typing import NamedTuple

from weightscope.components.attention.rope import Rope
from weightscope.components.recurrent.gated_delta import GatedDeltaNet
from weightscope.components.recurrent.gated_norm import GatedRMSNorm
from weightscope.config import Config
from weightscope.families.common import Dims, rotary
from weightscope.families.common.parts import linears
from weightscope.roles import Role
from weightscope.storage.base import StorageItem
from weightscope.storage.kernel import Kernel
from weightscope.storage.pieces import Pieces
from weightscope.storage.plain import Plain

# The class has no setting for it.
GATED_EPS = 1e-5


NAMES, HELD = ("attention_layer_norm", "feedforward_layer_norm"), ("input_layernorm", "post_attention_layernorm")
KERNELS = ("q_conv1d", "k_conv1d", "v_conv1d")


class Spelling(NamedTuple):
    """The decoder's prefix, the norms of a delta net's layer, an attention layer's first norm, how kernels lie."""

    prefix: str
    norms: tuple[str, str] = NAMES
    attended: str = "post_attention_layernorm"
    kernels: str = "one for each projection"


# transformers 5 cuts the kernels into equal thirds, and gives one more norm another name, than Ai2 published.
ROOTS = {
    "model": Spelling("model"), "": Spelling(""),
    "model, as transformers 5 saves it": Spelling("model", attended=NAMES[1], kernels="thirds"),
    "as transformers 5 saves it": Spelling("", attended=NAMES[1], kernels="thirds"),
    "model, as transformers 5 holds it": Spelling("model", HELD, kernels="together"),
    "as transformers 5 holds it": Spelling("", HELD, kernels="together"),
}  # fmt: skip


def delta_net(config: Config, kernels: str) -> GatedDeltaNet:
    """As many heads as attention has, unless told otherwise; keys are as wide as three quarters of the model."""
    width, heads = config["hidden_size"], config["num_attention_heads"]
    key_heads, value_heads = config["linear_num_key_heads"], config["linear_num_value_heads"]
    key_heads, value_heads = (heads if count is None else count for count in (key_heads, value_heads))
    key_dim, value_dim = config["linear_key_head_dim"], config["linear_value_head_dim"]
    key_dim = width * 3 // (key_heads * 4) if key_dim is None else key_dim
    value_dim = key_dim * 2 if value_dim is None else value_dim
    keys, values = key_heads * key_dim, value_heads * value_dim
    stored: dict[str, StorageItem] = {
        "together": Kernel("conv1d", Role.CONVOLUTION, last=False),
        "thirds": Pieces(Role.CONVOLUTION, *KERNELS),
    }
    names = {
        "q_proj": Role.Q_PROJ, "k_proj": Role.K_PROJ, "v_proj": Role.V_PROJ, "a_proj": Role.A_PROJ,
        "b_proj": Role.B_PROJ, "g_proj": Role.Z_PROJ, "o_proj": Role.OUT_PROJ,
    }  # fmt: skip
    return GatedDeltaNet(
        name="linear_attn",
        items=(
            *linears(names),
            stored.get(kernels, Pieces(Role.CONVOLUTION, *KERNELS, rows=(keys, keys, values))),
            Plain("", Role.DT_BIAS, leaf="dt_bias"),
            Plain("", Role.A_LOG, leaf="A_log"),
        ),
        width=width,
        key_heads=key_heads,
        value_heads=value_heads,
        key_dim=key_dim,
        value_dim=value_dim,
        kernel=config["linear_conv_kernel_dim"],
        activation=config["hidden_act"],
        norm=GatedRMSNorm(name="o_norm", size=value_dim, eps=GATED_EPS),
        strength=2.0 if config["linear_allow_neg_eigval"] else 1.0,
    )


def rotation(config: Config, s: Dims) -> Rope | None:
    """None where theta is null: the order of tokens is then the delta nets' affair."""
    settings = config["rope_scaling"] or config["rope_parameters"] or {}
    theta = settings.get("rope_theta") if "rope_theta" in settings else config["rope_theta"]
    return None if theta is None else rotary(config, s.head_dim)
