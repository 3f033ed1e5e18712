"""What Kimi Linear is made of, and the three ways in which it is spelled on disk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from weightscope.components.attention.latent import LatentAttention
from weightscope.components.base import Component
from weightscope.components.feed_forward.routing import Routing
from weightscope.components.recurrent.gated_norm import GatedRMSNorm
from weightscope.components.recurrent.kimi_delta import KimiDelta
from weightscope.config import Config, Nullable
from weightscope.errors import UndeclaredError
from weightscope.families.common.hybrid import kinds_of, mixture, number
from weightscope.families.common.parts import gated_mlp
from weightscope.roles import Role
from weightscope.storage.base import StorageItem
from weightscope.storage.linear import Linear
from weightscope.storage.pieces import Pieces
from weightscope.storage.plain import Plain


class Layout(NamedTuple):
    """A spelling: the decoder's prefix, the names of dense and mixed MLPs, whether kernels and experts are joined."""

    prefix: str
    dense: str = "mlp"
    mixed: str = "block_sparse_moe"
    joined: bool = False


# transformers 5 writes dense layers under the name of the mixed ones, and holds both under that of the dense ones.
LAYOUTS = {
    "model": Layout("model"),
    "": Layout(""),
    "model, dense layers as mixed ones": Layout("model", dense="block_sparse_moe"),
    "dense layers as mixed ones": Layout("", dense="block_sparse_moe"),
    "model, experts stacked": Layout("model", mixed="mlp", joined=True),
}


def mixers(config: Config) -> list[str]:
    """What mixes the tokens of each layer; the published config counts layers from 1."""
    attending = _sizes(config)["full_attn_layers"]
    if attending is None:
        return kinds_of(config, lambda at: "full_attention" if at and at % 4 == 0 else "linear_attention")
    return kinds_of(config, lambda at: "full_attention" if at + 1 in attending else "linear_attention")


def delta_attention(config: Config, layout: Layout) -> Component:
    """Its sizes are in an object of their own in the published config."""
    sizes = _sizes(config)
    head_dim = sizes["head_dim"]
    gate = "forget_gate." if layout.joined else ""
    kernels: StorageItem = Pieces(Role.CONVOLUTION, "q_conv1d", "k_conv1d", "v_conv1d")
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


def latent_attention(config: Config) -> Component:
    """DeepSeek's, but that nothing is turned by position."""
    return LatentAttention(
        name="self_attn",
        width=config["hidden_size"],
        heads=config["num_attention_heads"],
        q_rank=config["q_lora_rank"],
        kv_rank=config["kv_lora_rank"],
        nope=config["qk_nope_head_dim"],
        rope_dim=config["qk_rope_head_dim"],
        v_dim=config["v_head_dim"],
        rope=None,
        bias=config["attention_bias"],
    )


def feed_forward(config: Config, layout: Layout, kind: str) -> Component:
    """Routed as in DeepSeek-V3."""
    if kind == "dense":
        return gated_mlp(config, layout.dense)
    inner = config["moe_intermediate_size"]
    return mixture(
        config,
        layout.mixed,
        gated_mlp(config, "", inner=inner, names=("w1", "w3", "w2")),
        Routing(
            score="sigmoid",
            groups=int(config["n_group"]),
            kept=int(config["topk_group"] or 1),
            normalize=bool(config["norm_topk_prob"]),
            scale=number(config, "routed_scaling_factor"),
        ),
        stacked=layout.joined,
        count="num_local_experts",
        shared=gated_mlp(config, "shared_experts", inner=inner * config["n_shared_experts"]),
        correction="gate.e_score_correction_bias",
    )


def depths(config: Config) -> list[str]:
    """Which layers are dense and which mixed."""
    first, known = config["first_k_dense_replace"], {"dense": "dense", "sparse": "sparse"}
    return kinds_of(config, lambda at: "dense" if at < first else "sparse", key="mlp_layer_types", known=known)


def refuse(config: Config) -> None:
    """What published configs can say and the class does not read.

    Raises:
        UndeclaredError: another setting than that of the published model, by name.
    """
    for key, only in (("mla_use_nope", True), ("moe_router_activation_func", "sigmoid"), ("moe_layer_freq", 1)):
        if config[key] != only:
            raise UndeclaredError(f"Kimi Linear with {key} {config[key]!r:.60} is not declared", where=config.source)


def _sizes(config: Config) -> Mapping[str, Any]:
    """What the published config says in an object of its own, and transformers 5 at the top."""
    keys = {"head_dim": "head_dim", "num_heads": "num_heads", "short_conv_kernel_size": "conv_kernel_dim"}
    top = {key: config[f"linear_{own}"] for key, own in keys.items()}
    if "linear_attn_config" not in config:
        return top | {"full_attn_layers": None}
    defaults = {key: int(value) for key, value in top.items()} | {"full_attn_layers": Nullable(list)}
    stated = config.nested("linear_attn_config").with_defaults(defaults, {})
    return {key: stated[key] for key in defaults}
