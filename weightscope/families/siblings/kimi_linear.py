"""What Kimi Linear is made of, and the ways in which it is spelled on disk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from weightscope.components.base import Component
from weightscope.components.feed_forward.moe import MixtureOfExperts
from weightscope.components.recurrent.gated_norm import GatedRMSNorm
from weightscope.components.recurrent.kimi_delta import KimiDelta
from weightscope.config import Config, Nullable
from weightscope.families.common.layer_types import FULL, LINEAR, MIXERS, layer_types
from weightscope.families.common.mixtures import APART, STACK, SWITCH, SWITCHED
from weightscope.families.common.parts import gated_mlp
from weightscope.families.siblings.deepseek import grouped_sigmoid
from weightscope.roles import Role
from weightscope.storage.linear import Linear
from weightscope.storage.pieces import Pieces
from weightscope.storage.plain import Plain


class Layout(NamedTuple):
    """A spelling: the decoder's prefix, the names of dense and mixed MLPs, whether kernels and experts are joined.

    MLX's converter stacks experts, turns the kernels under names of their own, and takes heads `apart`.
    """

    prefix: str
    dense: str = "mlp"
    mixed: str = "block_sparse_moe"
    joined: bool = False
    by_mlx: bool = False
    apart: bool = False


# transformers 5 writes dense layers under the name of the mixed ones, and holds both under that of the dense ones.
LAYOUTS = {
    "model": Layout("model"), "": Layout(""),
    "model, dense layers as mixed ones": Layout("model", dense="block_sparse_moe"),
    "dense layers as mixed ones": Layout("", dense="block_sparse_moe"),
    "model, experts stacked": Layout("model", mixed="mlp", joined=True),
    SWITCHED: Layout("model", mixed="mlp", by_mlx=True),
    APART: Layout("model", mixed="mlp", by_mlx=True, apart=True),
}  # fmt: skip


def attending(config: Config) -> list[bool]:
    """Which layers attend; the published config counts them from 1."""
    listed = _sizes(config)["full_attn_layers"]

    def default(i: int) -> str:
        return FULL if (i and i % 4 == 0 if listed is None else i + 1 in listed) else LINEAR

    return [kind == FULL for kind in layer_types(config, default, known=MIXERS)]


def delta_attention(config: Config, layout: Layout) -> Component:
    """Its sizes are in an object of their own in the published config."""
    sizes = _sizes(config)
    head_dim = sizes["head_dim"]
    gate = "forget_gate." if layout.joined else ""
    kernel_names = [f"{part}_conv.conv" if layout.by_mlx else f"{part}_conv1d" for part in "qkv"]
    kernels = Pieces(Role.CONVOLUTION, *kernel_names, last=layout.by_mlx)
    names = {
        "q_proj": Role.Q_PROJ,
        "k_proj": Role.K_PROJ,
        "v_proj": Role.V_PROJ,
        f"{gate}f_a_proj": Role.F_A_PROJ,
        f"{gate}f_b_proj": Role.F_B_PROJ,
        "b_proj": Role.B_PROJ,
        "g_a_proj": Role.G_A_PROJ,
        "g_b_proj": Role.G_B_PROJ,
        "o_proj": Role.O_PROJ,
    }
    return KimiDelta(
        name="self_attn",
        items=(
            *(Linear(name, role) for name, role in names.items()),
            Plain("conv1d", Role.CONVOLUTION) if layout.joined else kernels,
            Plain("", Role.DT_BIAS, leaf=f"{gate}dt_bias"),
            Plain("", Role.A_LOG, leaf=f"{gate}A_log"),
        ),
        width=config["hidden_size"],
        heads=sizes["num_heads"],
        head_dim=head_dim,
        kernel=sizes["short_conv_kernel_size"],
        activation=config["hidden_act"],
        norm=GatedRMSNorm(name="o_norm", size=head_dim, eps=config["rms_norm_eps"], activation="sigmoid"),
    )


def kimi_mixture(config: Config, layout: Layout) -> MixtureOfExperts:
    """Routed as in DeepSeek-V3."""
    inner = config["moe_intermediate_size"]
    return MixtureOfExperts(
        name=layout.mixed,
        width=config["hidden_size"],
        experts=config["num_local_experts"],
        chosen=config["num_experts_per_tok"],
        expert=gated_mlp(config, "", inner=inner, names=("w1", "w3", "w2")),
        routing=grouped_sigmoid(config),
        shared=gated_mlp(config, "shared_experts", inner=inner * config["n_shared_experts"]),
        correction=f"{'' if layout.by_mlx else 'gate.'}e_score_correction_bias",
        stacked=SWITCH if layout.by_mlx else STACK if layout.joined else None,
    )


def _sizes(config: Config) -> Mapping[str, Any]:
    """What the published config says in an object of its own, and transformers 5 at the top."""
    keys = {"head_dim": "head_dim", "num_heads": "num_heads", "short_conv_kernel_size": "conv_kernel_dim"}
    top = {key: config[f"linear_{own}"] for key, own in keys.items()}
    if config["linear_attn_config"] is None:
        return top | {"full_attn_layers": None}
    defaults = {key: int(value) for key, value in top.items()} | {"full_attn_layers": Nullable(list)}
    stated = config.nested("linear_attn_config").with_defaults(defaults)
    return {key: stated[key] for key in defaults}
