"""Parts of Gemma 4: the heads of each layer, what a token sees, the mixture beside the MLP."""

from __future__ import annotations

from collections.abc import Callable

from weightscope.components.attention import EVERYTHING, Around, Heads, Sees
from weightscope.components.base import Component
from weightscope.components.decoder import Block
from weightscope.components.feed_forward import GatedMLP
from weightscope.components.feed_forward.dense_and_mixed import DenseAndMixed
from weightscope.components.feed_forward.experts import StackedExperts
from weightscope.components.norm import Norm
from weightscope.config import Config
from weightscope.families.common import Dims, visible
from weightscope.families.common.mixtures import STACK
from weightscope.families.common.parts import gated_mlp
from weightscope.roles import Role, Section
from weightscope.sizes import Size, size


def heads_of(config: Config, s: Dims, i: int, *, full: bool) -> Heads:
    """Layers that see everything have heads of `global_head_dim` and may have another number of keys.

    transformers 5 writes what differs layer by layer, as `per_layer_config`, from ten layers on with numbers padded
    by zeros ("03").

    Raises:
        ConfigError: `per_layer_config` says something else than whole numbers.
        UndeclaredError: it says something of other keys.
    """
    stated = config["per_layer_config"]
    if "per_layer_config" in config:
        numbers = {int(key): value for key, value in (stated or {}).items() if key.isdecimal() and len(key) < 10}
        own = numbers.get(i, {})
        if not isinstance(own, dict) or not set(own) <= {"head_dim", "num_key_value_heads"}:
            raise config.undeclared(f"per_layer_config with {own!r:.60} is not declared")
        found = (own.get("head_dim", s.heads.size), own.get("num_key_value_heads", s.heads.keys))
        if not all(isinstance(value, int) and value > 0 for value in found):
            raise config.error(f"per_layer_config of layer {i} is {own!r:.60}, not whole numbers")
        return Heads(count=s.heads.count, size=size(found[0]), keys=size(found[1]))
    wide, keys = config["global_head_dim"], config["num_global_key_value_heads"]
    if not full or wide is None:
        return s.heads
    return Heads(
        count=s.heads.count, size=wide, keys=keys if keys is not None and config["attention_k_eq_v"] else s.heads.keys
    )


def seen(config: Config, *, full: bool) -> Sees:
    """With `use_bidirectional_attention` all, the window lies half before and half behind a token."""
    window = None if full else config["sliding_window"]
    if config["use_bidirectional_attention"] == "all":
        return EVERYTHING if window is None else Around(int(window) // 2 + 1)
    return visible(config, window)


def beside_mixture(
    config: Config,
    norm: Callable[[str, Role, Size], Norm],
    attention: Component,
    mlp: GatedMLP,
    after: tuple[Component, ...],
) -> Block:
    """A block whose MLP and mixture of experts lie side by side, each with norms of its own."""
    width = config["hidden_size"]
    expert = gated_mlp(config, "", inner=config["moe_intermediate_size"], activation=config["hidden_activation"])
    return Block(
        input_norm=norm("input_layernorm", Role.INPUT_NORM, width),
        attention=attention,
        attention_out_norm=norm("post_attention_layernorm", Role.POST_ATTENTION_NORM, width),
        feed_forward_norm=None,
        feed_forward=DenseAndMixed(
            dense_norm=norm("pre_feedforward_layernorm", Role.PRE_FEEDFORWARD_NORM, width),
            dense=mlp,
            dense_out_norm=norm("post_feedforward_layernorm_1", Role.POST_FEEDFORWARD_NORM, width),
            mixed_norm=norm("pre_feedforward_layernorm_2", Role.PRE_FEEDFORWARD_NORM, width),
            width=width,
            experts=StackedExperts(
                name="experts",
                section=Section.MOE,
                items=STACK.items,
                experts=config["num_experts"],
                chosen=config["top_k_experts"],
                expert=expert,
            ),
            mixed_out_norm=norm("post_feedforward_layernorm_2", Role.POST_FEEDFORWARD_NORM, width),
            eps=config["rms_norm_eps"],
        ),
        feed_forward_out_norm=norm("post_feedforward_layernorm", Role.POST_FEEDFORWARD_NORM, width),
        after=after,
    )
