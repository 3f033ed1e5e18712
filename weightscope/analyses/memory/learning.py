"""Which weights of which layer a plan trains, and beside which ones adapters stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import product

import msgspec

from weightscope.analyses.training.grammar import Plan
from weightscope.analyses.training.matrices import Matrix
from weightscope.analyses.training.parts import APART, FULL
from weightscope.components.base import Component
from weightscope.components.step import ALL, NOTHING, Learned, Weight
from weightscope.components.walk import Slot, walk
from weightscope.errors import NotImplementedByWeightscope
from weightscope.roles import Role, Section

# Beside these matrices, each a module of its own, it was measured what an adapter keeps.
ADAPTED = frozenset(
    {
        Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ, Role.O_PROJ, Role.ATTENTION_GATE, Role.GATE_PROJ, Role.UP_PROJ,
        Role.DOWN_PROJ, Role.Q_A_PROJ, Role.Q_B_PROJ, Role.KV_A_PROJ, Role.KV_B_PROJ, Role.B_PROJ,
        Role.C_PROJ, Role.IN_PROJ, Role.OUT_PROJ,
    }
)  # fmt: skip
TABLES = frozenset({Section.EMBEDDING, Section.HEAD})
# Stands for the number of a layer, for what is in none.
ENDS = -1


class Learning(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan trains: of each layer by its number, and of embeddings and head (`ends`).

    `senses` says whether it trains something that sees or hears, which comes before them. `rest` is what it trains of
    layers without an entry.
    """

    layers: Mapping[int, Learned]
    ends: Learned
    senses: bool = False
    rest: Learned = NOTHING

    def of_layer(self, number: int) -> Learned:
        """What is trained of this layer."""
        return self.layers.get(number, self.rest)


def learning(tree: Component, plan: Plan, whole: frozenset[Section], hits: Sequence[Matrix], *, tied: bool) -> Learning:
    """What a plan trains that trains the components in `whole`, and has adapters beside the matrices in `hits`.

    Raises:
        NotImplementedByWeightscope: adapters beside matrices of which nobody measured what they keep.
    """
    if FULL in plan.parts:
        return Learning(layers={}, ends=ALL, senses=True, rest=ALL)
    adapted = {name for matrix in hits for name in matrix.names}
    weights: dict[int, set[Weight]] = {}
    ranks: dict[int, dict[Weight, int]] = {}
    senses = False
    for slot in walk(tree):
        trained = _is_trained(slot, whole, tied=tied)
        numbers = _layers(slot) if trained else _adapted_layers(slot, adapted)
        if slot.auxiliary or not numbers:
            continue
        if slot.section in APART:
            senses = True
            continue
        for number, (role, _) in product(numbers, slot.stored.parts):
            if trained:
                weights.setdefault(number, set()).add((slot.owner, role))
            elif plan.lora:
                ranks.setdefault(number, {})[slot.owner, role] = plan.lora.rank
    found = {
        number: Learned(weights=frozenset(weights.get(number, ())), ranks=ranks.get(number, {}))
        for number in weights.keys() | ranks.keys()
    }
    return Learning(layers=found, ends=found.get(ENDS, NOTHING), senses=senses)


def _is_trained(slot: Slot, whole: frozenset[Section], *, tied: bool) -> bool:
    """Whether the plan trains the slot's weights themselves: of a tied table both ends or none."""
    roles = {role for role, _ in slot.stored.parts}
    if tied and roles & {Role.TOKEN_EMBEDDING, Role.LM_HEAD} and slot.section in TABLES:
        return bool(TABLES & whole)
    return slot.section in whole


def _layers(slot: Slot) -> Sequence[int]:
    """The numbers of the layers that have the slot's weights."""
    if "layer" not in slot.kinds:
        return (ENDS,)
    return slot.ranges[slot.kinds.index("layer")]


def _adapted_layers(slot: Slot, adapted: AbstractSet[str]) -> Sequence[int]:
    """The numbers of the layers in which an adapter stands beside the slot's matrix.

    Raises:
        NotImplementedByWeightscope: it is no matrix of a layer, or one of several experts.
    """
    names = list(slot.names()) if adapted else []
    hit = [name in adapted for name in names]
    if not any(hit):
        return ()
    if slot.section in APART:
        return (ENDS,)
    roles = [role for role, _ in slot.stored.parts]
    if slot.kinds != ("layer",) or not ADAPTED.issuperset(roles):
        raise NotImplementedByWeightscope(f"a training step with LoRA beside {' and '.join(roles)} was not measured")
    return [number for number, is_hit in zip(slot.ranges[0], hit, strict=True) if is_hit]
