"""The norms, MLPs and mixtures of Megatron-Core's GPTs, and the keys of their settings."""

from __future__ import annotations

from weightscope.components.feed_forward.mlp import MLP, GatedMLP
from weightscope.components.feed_forward.moe import MixtureOfExperts
from weightscope.components.feed_forward.routing import Routing
from weightscope.components.norm import LayerNorm, Norm, RMSNorm
from weightscope.config import Config, Nullable
from weightscope.families.common import LLAMA
from weightscope.families.common.parts import fused_gated_mlp, mlp
from weightscope.roles import Role
from weightscope.sizes import Size

MEGATRON = LLAMA | {
    "norm_eps": 1e-5, "normalization": "LayerNorm", "norm_offset": 0.0, "norms_in_matrices": False, "gated": False,
    "hidden_act": "gelu", "qkv_bias": True, "attention_bias": True, "mlp_bias": True, "qk_layernorm": False,
    "learned_positions": False, "partial_rotary_factor": 1.0, "rotary_interleaved": False,
    "num_local_experts": Nullable(int), "num_experts_per_tok": 2, "norm_topk_prob": True,
}  # fmt: skip
MATRICES = ("linear_fc1", "linear_fc2")


def norm_of(config: Config, name: str, role: Role, size: Size, *, leaves: tuple[str, str] = ("weight", "bias")) -> Norm:
    """A norm of the kind that the run chose; `leaves` are the names of its weight and its bias."""
    eps, offset = config["norm_eps"], config["norm_offset"]
    if config["normalization"] == "RMSNorm":
        return RMSNorm(name=name, role=role, size=size, eps=eps, offset=offset, leaf=leaves[0])
    return LayerNorm(name=name, role=role, size=size, eps=eps, offset=offset, leaves=leaves)


def matrices(config: Config, name: str) -> MLP | GatedMLP:
    """Rows of the first matrix of a gated MLP are all gates, then all ups."""
    if config["gated"]:
        return fused_gated_mlp(config, name, bias=config["mlp_bias"], names=MATRICES)
    return mlp(
        config["hidden_size"], config["intermediate_size"], config["hidden_act"], name=name, names=MATRICES,
        bias=config["mlp_bias"],
    )  # fmt: skip


def mixture(config: Config, width: Size) -> MixtureOfExperts:
    """The mixture of a layer: experts are numbered below `experts.local_experts`."""
    return MixtureOfExperts(
        name="mlp",
        width=width,
        experts=config["num_local_experts"],
        chosen=config["num_experts_per_tok"],
        expert=matrices(config, ""),
        routing=Routing(normalize=config["norm_topk_prob"]),
        router="router",
        number_prefix="local_experts.",
    )
