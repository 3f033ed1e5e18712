"""The mixture of Qwen's models, and which layers have one."""

from __future__ import annotations

from collections.abc import Callable

from weightscope.components.feed_forward.mlp import GatedMLP
from weightscope.components.feed_forward.moe import MixtureOfExperts, Stack
from weightscope.components.feed_forward.routing import Routing
from weightscope.config import Config, Nullable
from weightscope.families.common import QWEN2
from weightscope.families.common.numbers import listed
from weightscope.families.common.parts import gated_mlp

QWEN2_MOE = QWEN2 | {
    "hidden_size": 2048, "intermediate_size": 5632, "num_hidden_layers": 24, "num_attention_heads": 16,
    "num_key_value_heads": Nullable(int, 16), "decoder_sparse_step": 1, "mlp_only_layers": Nullable(list),
    "moe_intermediate_size": 1408, "shared_expert_intermediate_size": 5632, "num_experts": 60, "num_experts_per_tok": 4,
    "norm_topk_prob": False, "qkv_bias": True,
}  # fmt: skip


def qwen_mixture(config: Config, *, normalize: bool, stacked: Stack | None) -> MixtureOfExperts:
    """A gated shared expert beside the routed ones."""
    shared = gated_mlp(config, "shared_expert", inner=config["shared_expert_intermediate_size"])
    return routed_mixture(config, normalize=normalize, stacked=stacked, shared=shared)


def routed_mixture(
    config: Config, *, normalize: bool, stacked: Stack | None, shared: GatedMLP | None = None
) -> MixtureOfExperts:
    """Routed experts, in Qwen3 alone; a `shared` one has a gate."""
    return MixtureOfExperts(
        name="mlp",
        width=config["hidden_size"],
        experts=config["num_experts"],
        chosen=config["num_experts_per_tok"],
        expert=gated_mlp(config, "", inner=config["moe_intermediate_size"]),
        routing=Routing(normalize=normalize),
        shared=shared,
        shared_gate="shared_expert_gate" if shared else None,
        stacked=stacked,
    )


def every_so_often(config: Config) -> Callable[[int], bool]:
    """Qwen's choice: each `decoder_sparse_step`-th layer but those of `mlp_only_layers`; none without experts."""
    step, dense, experts = config["decoder_sparse_step"], listed(config, "mlp_only_layers"), config["num_experts"]
    return lambda layer: layer not in dense and experts > 0 and (layer + 1) % step == 0
