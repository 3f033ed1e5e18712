"""Parts of LongCat-Flash: its mixture with zero experts, and sizes that must agree."""

from __future__ import annotations

from weightscope.components.feed_forward.moe import MixtureOfExperts, Stack
from weightscope.components.feed_forward.routing import Routing
from weightscope.config import Config
from weightscope.families.common.parts import gated_mlp


def longcat_mixture(config: Config, *, stacked: Stack | None) -> MixtureOfExperts:
    """Softmax over experts and zero experts, the weights as they are."""
    return MixtureOfExperts(
        name="mlp",
        width=config["hidden_size"],
        experts=config["n_routed_experts"],
        chosen=config["moe_topk"],
        expert=gated_mlp(config, "", inner=config["expert_ffn_hidden_size"]),
        routing=Routing(normalize=False, scale=float(config["routed_scaling_factor"])),
        correction="router.e_score_correction_bias",
        stacked=stacked,
        router="router.classifier",
        router_bias=config["router_bias"],
        zeros=config["zero_expert_num"] or None,
    )


def agree(config: Config) -> None:
    """Refuse a size of query heads that is not that of their parts.

    Raises:
        ConfigError: it is not.
    """
    whole, nope, rope = (config[key] for key in ("qk_head_dim", "qk_nope_head_dim", "qk_rope_head_dim"))
    if whole is not None and whole != nope + rope:
        parts = f"qk_nope_head_dim {nope} and qk_rope_head_dim {rope} add up to {nope + rope}"
        raise config.error(f"qk_head_dim is {whole}, but {parts}", "correct the config")
