"""The weights that an adapter may change: those of its base by name, as they are before quantization."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from weightscope.analyses.adapting.spellings import Spellings, Stacks, other_spellings, stack_of
from weightscope.brief import brief
from weightscope.checkpoint.dtypes import FLOATS
from weightscope.checkpoint.reader import Checkpoint
from weightscope.components.walk import Slot, walk
from weightscope.families.declaration import Declaration
from weightscope.ranges import Names, blank, expand, numbers_in, numbers_words, template_of
from weightscope.roles import Role, Section
from weightscope.storage.base import Kind

CHANGEABLE = (Kind.WEIGHT, Kind.BIAS, Kind.COPY)


class ExpertPart(NamedTuple):
    """A weight of one expert, and the rows that it has in that expert's part of a stack."""

    weight: Weight
    expert: int
    rows: slice


class Weight(msgspec.Struct, frozen=True, kw_only=True):
    """A weight or bias of the base. `shape` is upright, (out, in); `turned` says that it is stored (in, out).

    A stack of experts is [experts, out, in]. Where the base stores them one by one, it is a name that transformers has
    for them in memory, and `experts` are what is stored.
    """

    name: str
    shape: tuple[int, ...]
    turned: bool = False
    roles: tuple[Role, ...] = ()
    section: Section = Section.OTHER
    kind: Kind = Kind.WEIGHT
    experts: tuple[ExpertPart, ...] = ()
    of_expert: bool = False

    @property
    def stored(self) -> tuple[int, ...]:
        """The shape as it is stored."""
        return (*self.shape[:-2], *self.shape[:-3:-1]) if self.turned else self.shape

    @property
    def is_matrix(self) -> bool:
        """Whether it belongs to a module that PEFT may change: a Linear, a table or a convolution, not a router."""
        is_stack = len(self.shape) == 3 and self.section is Section.MOE
        return self.kind is Kind.WEIGHT and len(self.shape) > 1 and not is_stack and Role.ROUTER not in self.roles


class BaseWeights(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """The weights of a base. `slots` are those of its declaration by template, `spellings` the templates that other
    spellings of its family have instead, `stacks` those of experts in one tensor; without a declaration there are only
    the names and shapes of `checkpoint`.
    """

    checkpoint: Checkpoint
    slots: dict[str, list[Slot]]
    spellings: Spellings
    stacks: Stacks

    __repr__ = brief

    @cached_property
    def tails(self) -> dict[str, str]:
        """Templates by their ends, from the name of the stack on: what comes before differs between wrappers."""
        found: dict[str, str] = {}
        for template in self.slots:
            tail = _tail(template)
            found[tail] = "" if tail in found else template
        return found

    @cached_property
    def _in_words(self) -> list[Slot]:
        """Those with numbers that end a word, by which no template of a name is found."""
        return [slot for slots in self.slots.values() for slot in slots if numbers_words(slot.template)]

    @property
    def shares_blocks(self) -> bool:
        """Whether several layers use one block."""
        return any(_is_copy(slot) for slots in self.slots.values() for slot in slots)

    @classmethod
    def of(cls, declaration: Declaration | None, checkpoint: Checkpoint) -> BaseWeights:
        """Those of an opened base."""
        slots: dict[str, list[Slot]] = {}
        own = list(walk(declaration.tree)) if declaration else []
        for slot in own:
            if slot.stored.kind in CHANGEABLE and not slot.auxiliary:
                slots.setdefault(blank(slot.template), []).append(slot)
        spellings, stacks = other_spellings(declaration, own) if declaration and not declaration.part else ({}, {})
        return cls(checkpoint=checkpoint, slots=slots, spellings=spellings, stacks=stacks)

    def find(self, name: str) -> Weight | None:
        """The weight that an adapter means by a name; None where the base has none."""
        return self._declared(name) or self._stored(name)

    def is_shared(self, weight: Weight) -> bool:
        """Whether several layers use the module that has it (Zamba), each under a name of its own."""
        slots = self.slots.get(template_of(weight.name)[0], ())
        return any(map(_is_copy, slots))

    def packs(self, name: str) -> bool:
        """Whether a base that is not declared stores a module's weight under other names: packed by some method."""
        return not self.slots and name.rpartition(".")[0] in self._owners

    @cached_property
    def _owners(self) -> frozenset[str]:
        return frozenset(name.rpartition(".")[0] for name in self.checkpoint.tensors)

    def matrices(self) -> Iterator[Weight]:
        """All weights of modules that PEFT may change; none without a declaration."""
        for slots in self.slots.values():
            # What may be left out is a module that need not be.
            for slot in (slot for slot in slots if not slot.stored.optional):
                weights = (_weight(name, slot) for name in expand(slot.template, slot.ranges))
                yield from (weight for weight in weights if weight.is_matrix and weight.name.endswith(".weight"))

    def table(self) -> Weight | None:
        """The token embedding, where a declaration tells it."""
        slots = (slot for slots in self.slots.values() for slot in slots)
        found = (slot for slot in slots if Role.TOKEN_EMBEDDING in dict(slot.stored.parts) and not slot.ranges)
        return next((_weight(slot.first_name(), slot) for slot in found), None)

    def _declared(self, name: str) -> Weight | None:
        template, numbers = template_of(name)
        if template in self.stacks and template not in self.slots:
            found = (_stacked(name, numbers, *stack) for stack in self.stacks[template])
            return next(filter(None, found), None)
        if template not in self.slots and (own := self._respelled(name, template, numbers)):
            name, template = own, template_of(own)[0]
        slots = self.slots.get(template, self._in_words)
        return next((_weight(name, slot) for slot in slots if name in Names(slot.template, slot.ranges)), None)

    def _respelled(self, name: str, template: str, numbers: Sequence[int]) -> str:
        """The base's own name for what another spelling of its family, or another wrapper around it, calls so; empty
        where it has none.
        """
        for other, own in self.spellings.get(template, ()):
            if (open_numbers := numbers_in(other, name)) is not None:
                return own.format(*open_numbers)
        own = self.tails.get(_tail(template), "")
        return own.format(*numbers) if own.count("{}") == len(numbers) else ""

    def _stored(self, name: str) -> Weight | None:
        entry = self.checkpoint.tensors.get(name) if not self.slots else None
        if entry is None or entry.dtype not in FLOATS:
            return None
        return Weight(name=name, shape=entry.shape, kind=Kind.BIAS if name.endswith(".bias") else Kind.WEIGHT)


def _is_copy(slot: Slot) -> bool:
    return slot.stored.optional and not slot.stored.logical


def _tail(template: str) -> str:
    """The end of a template from the part before its first number on, or its last two parts."""
    parts = template.split(".")
    start = parts.index("{}") - 1 if "{}" in parts else len(parts) - 2
    return ".".join(parts[max(start, 0) :])


def _weight(name: str, slot: Slot) -> Weight:
    shape = tuple(map(int, slot.stored.shape))
    item = stack_of(slot)
    turned = slot.stored.transposed and len(shape) == 2 if item is None else item.transposed and len(shape) == 3
    return Weight(
        name=name,
        shape=(*shape[:-2], *shape[:-3:-1]) if turned else shape,
        turned=turned,
        roles=tuple(role for role, _ in slot.stored.parts),
        section=slot.section,
        kind=slot.stored.kind,
        of_expert="expert" in slot.kinds,
    )


def _stacked(name: str, numbers: Sequence[int], slot: Slot, parts: Mapping[Role, Slot]) -> Weight | None:
    """A stack of experts that the base stores one by one."""
    if name not in Names(slot.template, slot.ranges):
        return None
    whole, found, first = _weight(name, slot), [], 0
    for own in parts.values():
        rows = slice(first, first + int(own.stored.shape[0]))
        first = rows.stop
        for expert in range(whole.shape[0]):
            single = own.template.format(*numbers, expert)
            found.append(ExpertPart(_weight(single, own), expert, rows))
    return replace(whole, experts=tuple(found))
