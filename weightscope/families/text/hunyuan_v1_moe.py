"""Hunyuan-A13B: the dense Hunyuan with a mixture and a shared MLP beside it. Source: `HunYuanMoEV1Config`."""

from weightscope.components.decoder import CausalLM
from weightscope.components.feed_forward.moe import MixtureOfExperts
from weightscope.config import Config, Nullable
from weightscope.families.common import LLAMA, Dims, causal_lm, rms_norms
from weightscope.families.common.mixtures import ROOTS, spelling
from weightscope.families.common.parts import gated_mlp, pre_norm_block
from weightscope.families.registry import family
from weightscope.families.siblings.hunyuan import hunyuan_attention, hunyuan_rope
from weightscope.roles import Role
from weightscope.sizes import Size

HUNYUAN_V1_MOE = LLAMA | {
    "vocab_size": 290943, "rms_norm_eps": 1e-5,
    # A number, or one for each layer.
    "num_experts": Nullable(object, 1), "moe_topk": Nullable(object, 1),
}  # fmt: skip
ATTRIBUTES = {"num_local_experts": "num_experts", "num_experts_per_tok": "moe_topk"}


@family("hunyuan_v1_moe", roots=ROOTS, defaults=HUNYUAN_V1_MOE, attribute_map=ATTRIBUTES)
def hunyuan_v1_moe(config: Config, root: str) -> CausalLM:
    """The shared MLP is as wide as an expert."""
    s, norm, (prefix, stacked) = Dims.of(config), rms_norms(config["rms_norm_eps"]), spelling(root)
    mixture = MixtureOfExperts(
        name="mlp",
        width=s.width,
        experts=same_everywhere(config, "num_experts"),
        chosen=same_everywhere(config, "moe_topk"),
        expert=gated_mlp(config, ""),
        shared=gated_mlp(config, "shared_mlp"),
        stacked=stacked,
        router="gate.wg",
    )
    block = pre_norm_block(
        norm, s.width, attention=hunyuan_attention(config, s, hunyuan_rope(config, s)), feed_forward=mixture
    )
    return causal_lm(config, prefix, lambda _: block, final_norm=norm("norm", Role.FINAL_NORM, s.width))


def same_everywhere(config: Config, key: str) -> Size:
    """A number that a config gives once, or once a layer.

    Raises:
        ConfigError: it gives something else.
        UndeclaredError: the number differs by layer.
    """
    value = config[key]
    numbers = value if isinstance(value, list) else [value]
    if not numbers or not all(isinstance(number, int) and number > 0 for number in numbers):
        raise config.error(f"{key} is {value!r:.60}, not a whole number")
    if len(set(numbers)) > 1:
        raise config.undeclared(f"{key} that differs by layer is not declared")
    return Size(numbers[0], key)
