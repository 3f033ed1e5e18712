"""Parts of Cohere's mixtures: the experts, and the windows of layers whose first ones are dense."""

from __future__ import annotations

from weightscope.components.feed_forward.moe import MixtureOfExperts, Stack
from weightscope.components.feed_forward.routing import Routing
from weightscope.config import Config
from weightscope.families.common.layer_types import FULL, SLIDING, layer_types
from weightscope.families.common.parts import gated_mlp


def cohere_mixture(config: Config, *, stacked: Stack | None) -> MixtureOfExperts:
    """Shared experts, if there are any, are added to the routed ones, or their mean is taken.

    Softmax weights always sum to 1, sigmoid ones where `norm_topk_prob` says so.
    """
    inner, shared = config["intermediate_size"], config["num_shared_experts"]
    sigmoid = config["expert_selection_fn"] == "sigmoid"
    share = 0.5 if shared and config["shared_expert_combination_strategy"] == "average" else 1.0
    return MixtureOfExperts(
        name="mlp",
        width=config["hidden_size"],
        experts=config["num_experts"],
        chosen=config["num_experts_per_tok"],
        expert=gated_mlp(config, ""),
        routing=Routing(
            score="sigmoid" if sigmoid else "softmax",
            normalize=config["norm_topk_prob"] or not sigmoid,
            scale=share,
            added=0.0,
        ),
        shared=gated_mlp(config, "shared_experts", inner=inner * shared, out_scale=share) if shared else None,
        stacked=stacked,
    )


def prefixed_windows(config: Config) -> list[str]:
    """The kind of each layer: the first `first_k_dense_replace` and the others each count by a pattern of their own.

    Every so many of them, the last one sees everything.
    """
    first, every = config["first_k_dense_replace"], config["sliding_window_pattern"]

    def kind(i: int) -> str:
        number, pattern = (i, config["prefix_dense_sliding_window_pattern"]) if i < first else (i - first, every)
        return SLIDING if (number + 1) % pattern else FULL

    return layer_types(config, kind)
