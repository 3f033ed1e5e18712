"""The weights that an adapter may change: those of its base by name, as they are before quantization."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from weightscope.brief import brief
from weightscope.checkpoint.reader import Checkpoint
from weightscope.components.walk import Slot, walk
from weightscope.config import FAULTS
from weightscope.errors import ConfigError
from weightscope.families.registry import Declaration
from weightscope.quantization.common.method import FLOATS
from weightscope.ranges import Names, blank, expand, template_of
from weightscope.roles import Role, Section
from weightscope.storage.base import Kind

CHANGEABLE = (Kind.WEIGHT, Kind.BIAS, Kind.COPY)


class Weight(msgspec.Struct, frozen=True, kw_only=True):
    """A weight or bias of the base. `shape` is upright, (out, in); `turned` says that it is stored (in, out)."""

    name: str
    shape: tuple[int, ...]
    turned: bool = False
    roles: tuple[Role, ...] = ()
    section: Section = Section.OTHER
    kind: Kind = Kind.WEIGHT

    @property
    def stored(self) -> tuple[int, ...]:
        """The shape as it is stored."""
        return self.shape[::-1] if self.turned else self.shape

    @property
    def is_matrix(self) -> bool:
        """Whether it belongs to a module that PEFT may change: a Linear, a table or a convolution, not a router."""
        is_stack = len(self.shape) == 3 and self.section is Section.MOE
        return self.kind is Kind.WEIGHT and len(self.shape) > 1 and not is_stack and Role.ROUTER not in self.roles


class BaseWeights(msgspec.Struct, frozen=True, kw_only=True):
    """The weights of a base. `slots` are those of its declaration by template, `spellings` the templates that other
    spellings of its family have instead; without a declaration there are only the names and shapes of `checkpoint`.
    """

    checkpoint: Checkpoint
    slots: dict[str, list[Slot]]
    spellings: dict[str, str]

    __repr__ = brief

    @classmethod
    def of(cls, declaration: Declaration | None, checkpoint: Checkpoint) -> BaseWeights:
        """Those of an opened base."""
        slots: dict[str, list[Slot]] = {}
        own = list(walk(declaration.tree)) if declaration else []
        for slot in own:
            if slot.stored.kind in CHANGEABLE and not slot.auxiliary:
                slots.setdefault(blank(slot.template), []).append(slot)
        spellings = _spellings(declaration, own) if declaration and not declaration.part else {}
        return cls(checkpoint=checkpoint, slots=slots, spellings=spellings)

    def find(self, name: str) -> Weight | None:
        """The weight that an adapter means by a name; None where the base has none."""
        return self._declared(name) or self._stored(name)

    def matrices(self) -> Iterator[Weight]:
        """All weights of modules that PEFT may change; none without a declaration."""
        for slots in self.slots.values():
            for slot in slots:
                weights = (_weight(name, slot) for name in expand(slot.template, slot.ranges))
                yield from (weight for weight in weights if weight.is_matrix and weight.name.endswith(".weight"))

    def table(self) -> Weight | None:
        """The token embedding, where a declaration tells it."""
        slots = (slot for slots in self.slots.values() for slot in slots)
        found = (slot for slot in slots if Role.TOKEN_EMBEDDING in dict(slot.stored.parts) and not slot.ranges)
        return next((_weight(slot.first_name(), slot) for slot in found), None)

    def _declared(self, name: str) -> Weight | None:
        template, numbers = template_of(name)
        own = template if template in self.slots else self.spellings.get(template, "")
        if own and own != template and own.count("{}") == len(numbers):
            name = own.format(*numbers)
        slots = self.slots.get(own, ())
        return next((_weight(name, slot) for slot in slots if name in Names(slot.template, slot.ranges)), None)

    def _stored(self, name: str) -> Weight | None:
        entry = self.checkpoint.tensors.get(name) if not self.slots else None
        if entry is None or entry.dtype not in FLOATS:
            return None
        return Weight(name=name, shape=entry.shape, kind=Kind.BIAS if name.endswith(".bias") else Kind.WEIGHT)


def _weight(name: str, slot: Slot) -> Weight:
    shape = tuple(map(int, slot.stored.shape))
    turned = slot.stored.transposed and len(shape) == 2
    return Weight(
        name=name,
        shape=shape[::-1] if turned else shape,
        turned=turned,
        roles=tuple(role for role, _ in slot.stored.parts),
        section=slot.section,
        kind=slot.stored.kind,
    )


def _spellings(declaration: Declaration, own: list[Slot]) -> dict[str, str]:
    """Templates of the family's other spellings, each with the one that the base has: the order is the same."""
    found: dict[str, str] = {}
    for root in declaration.family.roots:
        if root == declaration.root or root in declaration.family.parts:
            continue
        try:
            others = list(walk(declaration.family.component(declaration.config, root)))
        except (ConfigError, *FAULTS):
            continue
        if [slot.stored.shape for slot in others] == [slot.stored.shape for slot in own]:
            pairs = zip(others, own, strict=True)
            found |= {blank(other.template): blank(slot.template) for other, slot in pairs}
    return found
