"""Zamba2's shared blocks: for each layer that one enters, pairs of thin matrices beside its own."""

from __future__ import annotations

from weightscope.components.feed_forward.mlp import GatedMLP
from weightscope.components.recurrent.mamba2 import Mamba2
from weightscope.components.shared import LowRank, SharedBlock
from weightscope.config import Config
from weightscope.families.common import rotary
from weightscope.families.common.refusals import not_computed
from weightscope.families.siblings.zamba import HYBRID, SharedAt, attention_width, shared_attention, shared_block
from weightscope.roles import Role
from weightscope.storage.adapted import Adapted
from weightscope.storage.base import StorageItem
from weightscope.storage.linear import Linear

ATTENDING = {"q": Role.Q_PROJ, "k": Role.K_PROJ, "v": Role.V_PROJ}
GATE_UP = "gate_up_proj_adapter_list"


def adapted_block(config: Config, count: int, blocks: int) -> SharedAt:
    """Of `count` hybrid layers every `blocks`-th takes the same block, with the adapters of its own number."""
    width, bias = config["hidden_size"], config["add_bias_linear"]
    inner = config["intermediate_size"] or width * 4
    attends = config["use_shared_attention_adapter"]

    def projections(number: int) -> tuple[StorageItem, ...]:
        three = {part: Linear(f"{part}_proj", role) for part, role in ATTENDING.items()}
        adapted = (Adapted(base, *_pair(f"linear_{part}_adapter_list", number)) for part, base in three.items())
        return (*(adapted if attends else three.values()), Linear("o_proj", Role.O_PROJ))

    def adapters(owner: int) -> tuple[LowRank, ...]:
        numbers, rank, attended = range(owner, count, blocks), config["adapter_rank"], attention_width(config)
        of_attention = tuple(
            LowRank(name=f"self_attn.linear_{part}_adapter_list.{i}", to=role, rank=rank, width=attended, out=attended)
            for part, role in ATTENDING.items()
            for i in numbers
        )
        of_mlp = tuple(
            LowRank(name=f"feed_forward.{GATE_UP}.{i}", to="gate_up_proj", rank=rank, width=width, out=inner * 2)
            for i in numbers
        )
        return (*(of_attention if attends else ()), *of_mlp)

    def block(owner: int, number: int) -> SharedBlock:
        gate_up = Linear("gate_up_proj", Role.GATE_PROJ, Role.UP_PROJ, bias=bias)
        return shared_block(
            config,
            "shared_transformer",
            attention=shared_attention(config, projections(number), positions),
            feed_forward=GatedMLP(
                name="feed_forward",
                items=(Adapted(gate_up, *_pair(GATE_UP, number)), Linear("down_proj", Role.DOWN_PROJ, bias=bias)),
                width=width,
                inner=inner,
                activation=config["hidden_act"],
            ),
            adapters=adapters(owner),
        )

    size = config["attention_head_dim"] or width * 2 // config["num_attention_heads"]
    positions = rotary(config, size) if config["use_mem_rope"] else None
    return block


def adapted_layers(config: Config, kinds: list[str]) -> list[int]:
    """The layers for which there are adapters: `hybrid_layer_ids`, or those that a shared block enters.

    Raises:
        ConfigError: they are no layers' numbers.
    """
    listed = config["hybrid_layer_ids"]
    if listed is None:
        return [i for i, kind in enumerate(kinds) if kind == HYBRID]
    if not all(type(number) is int and 0 <= number < len(kinds) for number in listed):
        raise config.error(f"'hybrid_layer_ids' is {listed!r:.60}, not numbers of layers")
    return list(listed)


def uncomputed(config: Config, kinds: list[str], mixer: Mamba2) -> str:
    """Why there is no forward pass: sizes that do not fit, or a long context, which Zyphra's code turns otherwise."""
    hybrids = [i for i, kind in enumerate(kinds) if kind == HYBRID]
    if adapted_layers(config, kinds)[: len(hybrids)] != hybrids:
        return "Zamba2 with other hybrid_layer_ids than layers_block_type has"
    if any(mixer.conflicts()):
        return "Zamba2 with n_mamba_heads that do not fill the inner width"
    heads, keys = config["num_attention_heads"], config["num_key_value_heads"]
    if config["use_shared_attention_adapter"] and keys not in (None, heads):
        return f"Zamba2 with adapters of attention and num_key_value_heads {keys:,} of {heads:,} heads"
    return not_computed(config, "Zamba2", {"use_long_context": False}) if config["use_mem_rope"] else ""


def _pair(name: str, number: int) -> tuple[str, str]:
    """The modules of A and B."""
    return f"{name}.{number}.0", f"{name}.{number}.1"
