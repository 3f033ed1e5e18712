"""Hunyuan-A13B: norms after the rotation, a shared MLP beside the experts. Source: `HunYuanMoEV1Config`."""

from __future__ import annotations

from weightscope.components.decoder import CausalLM
from weightscope.components.moe import MixtureOfExperts
from weightscope.components.norm import RMSNorm
from weightscope.config import Config, Nullable
from weightscope.errors import UndeclaredError
from weightscope.families.common.llama_like import decoder
from weightscope.families.common.mixtures import ROOTS, spelling, stacked_experts
from weightscope.families.common.parts import four_projections, gated_mlp
from weightscope.families.llama import LLAMA
from weightscope.families.registry import family
from weightscope.roles import Role
from weightscope.sizes import Size

HUNYUAN_V1_MOE = LLAMA | {
    "vocab_size": 290943,
    "rms_norm_eps": 1e-5,
    # A number, or one for each layer.
    "num_experts": Nullable(object, 1),
    "moe_topk": Nullable(object, 1),
}
ALIASES = {"num_experts": "num_local_experts", "moe_topk": "num_experts_per_tok"}


@family("hunyuan_v1_moe", roots=ROOTS, defaults=HUNYUAN_V1_MOE, aliases=ALIASES)
def hunyuan_v1_moe(config: Config, root: str) -> CausalLM:
    """The shared MLP is as wide as an expert."""
    prefix, stacked = spelling(root)
    bias, eps = config["attention_bias"], config["rms_norm_eps"]
    head_dim = config["head_dim"] or config["hidden_size"] // config["num_attention_heads"]
    experts, chosen = alike_everywhere(config, "num_experts"), alike_everywhere(config, "moe_topk")
    expert = gated_mlp(config, "")
    return decoder(
        config,
        prefix,
        projections=four_projections(qkv_bias=bias, o_bias=bias),
        head_norms=(
            RMSNorm(name="query_layernorm", role=Role.Q_NORM, size=head_dim, eps=eps),
            RMSNorm(name="key_layernorm", role=Role.K_NORM, size=head_dim, eps=eps),
        ),
        feed_forward=MixtureOfExperts(
            name="mlp",
            width=config["hidden_size"],
            experts=experts,
            chosen=chosen,
            expert=expert,
            shared=gated_mlp(config, "shared_mlp"),
            stacked=stacked_experts(expert, experts, chosen) if stacked else None,
            router="gate.wg",
        ),
        attention={"turned_norms": True},
    )


def alike_everywhere(config: Config, key: str) -> Size:
    """A number that a config gives once, or once a layer."""
    value = config[key]
    numbers = value if isinstance(value, list) else [value]
    if not numbers or not all(isinstance(number, int) and number > 0 for number in numbers):
        raise config.error(f"{key} is {value!r:.60}, not a whole number")
    if len(set(numbers)) > 1:
        raise UndeclaredError(f"{key} that differs by layer is not declared", where=config.source)
    return Size(numbers[0], key)
