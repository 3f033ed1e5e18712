"""Hunyuan-A13B: the dense Hunyuan with a mixture and a shared MLP beside it. Source: `HunYuanMoEV1Config`."""

from __future__ import annotations

from weightscope.components.decoder import CausalLM
from weightscope.components.feed_forward.moe import MixtureOfExperts
from weightscope.config import Config, Nullable
from weightscope.errors import UndeclaredError
from weightscope.families.common.defaults import LLAMA
from weightscope.families.common.mixtures import ROOTS, spelling, stacked_experts, with_mixture
from weightscope.families.common.parts import gated_mlp
from weightscope.families.registry import family
from weightscope.families.text.hunyuan_v1_dense import hunyuan_v1_dense
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
    experts, chosen = alike_everywhere(config, "num_experts"), alike_everywhere(config, "moe_topk")
    expert = gated_mlp(config, "")
    mixture = MixtureOfExperts(
        name="mlp",
        width=config["hidden_size"],
        experts=experts,
        chosen=chosen,
        expert=expert,
        shared=gated_mlp(config, "shared_mlp"),
        stacked=stacked_experts(expert, experts, chosen) if stacked else None,
        router="gate.wg",
    )
    return with_mixture(hunyuan_v1_dense(config, prefix), lambda _: True, mixture)


def alike_everywhere(config: Config, key: str) -> Size:
    """A number that a config gives once, or once a layer."""
    value = config[key]
    numbers = value if isinstance(value, list) else [value]
    if not numbers or not all(isinstance(number, int) and number > 0 for number in numbers):
        raise config.error(f"{key} is {value!r:.60}, not a whole number")
    if len(set(numbers)) > 1:
        raise UndeclaredError(f"{key} that differs by layer is not declared", where=config.source)
    return Size(numbers[0], key)
