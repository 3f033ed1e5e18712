"""Names that a base's weights have in the other spellings of its family: PEFT writes those that transformers has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

from weightscope.components.walk import Slot, walk
from weightscope.config import FAULTS
from weightscope.errors import ConfigError
from weightscope.families.declaration import Declaration
from weightscope.ranges import blank
from weightscope.roles import Role
from weightscope.storage.stacked import Stacked

# By a name's template with all numbers open: templates of another spelling, and the base's own for the same weights.
Spellings = dict[str, list[tuple[str, str]]]
Stacks = dict[str, list[tuple[Slot, dict[Role, Slot]]]]


def other_spellings(declaration: Declaration, own: Sequence[Slot]) -> tuple[Spellings, Stacks]:
    """Templates of the family's other spellings, with the base's own for the same weights; and stacks of experts in
    them that the base stores one by one, with the base's slot for each role.
    """
    spellings: Spellings = {}
    stacks: Stacks = {}
    known = {slot.template for slot in own}
    for others in _others(declaration):
        new = [slot for slot in others if slot.template not in known]
        there = {slot.template for slot in others}
        left = [slot for slot in own if slot.template not in there]
        for other, slot in _alike(new, left):
            spellings.setdefault(blank(other.template), []).append((other.template, slot.template))
        for slot in new:
            if (parts := _experts(slot, left)) is not None:
                stacks.setdefault(blank(slot.template), []).append((slot, parts))
    return spellings, stacks


def stack_of(slot: Slot) -> Stacked | None:
    """How experts are stacked in a slot's tensor; None where it holds none."""
    roles = tuple(role for role, _ in slot.stored.parts)
    items = (item for item in slot.owner.stored if isinstance(item, Stacked) and item.roles == roles)
    return next(items, None) if len(slot.stored.shape) == 3 else None


def _others(declaration: Declaration) -> Iterator[list[Slot]]:
    for root in declaration.family.roots:
        if root == declaration.root or root in declaration.family.parts:
            continue
        try:
            yield list(walk(declaration.family.component(declaration.config, root)))
        except (ConfigError, *FAULTS):
            continue


def _alike(new: Sequence[Slot], left: Sequence[Slot]) -> Iterator[tuple[Slot, Slot]]:
    """Pairs of slots for the same weights: of one shape, role and layers, in the order of the pass."""
    waiting: dict[tuple[object, ...], list[Slot]] = {}
    for slot in left:
        waiting.setdefault(_key(slot), []).append(slot)
    for slot in new:
        if found := waiting.get(_key(slot)):
            yield slot, found.pop(0)


def _key(slot: Slot) -> tuple[object, ...]:
    stored = slot.stored
    return stored.shape, stored.parts, stored.kind, tuple(map(tuple, slot.ranges))


def _experts(slot: Slot, left: Sequence[Slot]) -> dict[Role, Slot] | None:
    """The base's slots of single experts that a stack stands for, by role; None where they are not all there."""
    item = stack_of(slot)
    if item is None or item.transposed or item.alternating:
        return None
    experts, _, columns = map(int, slot.stored.shape)
    found: dict[Role, Slot] = {}
    for role, count in slot.stored.parts:
        shape = (count // (experts * columns), columns)
        for other in left:
            single = tuple(map(int, other.stored.shape)) == shape and other.stored.parts == ((role, prod(shape)),)
            if single and "expert" in other.kinds and [*other.ranges[0]] == [*slot.ranges[0]]:
                found[role] = other
    return found if len(found) == len(slot.stored.parts) else None
