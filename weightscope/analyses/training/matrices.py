"""The weights that LoRA may stand beside: each module's own, with its logical shape, whatever it is stored as."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from math import prod

import msgspec

from weightscope.analyses.groups import Group
from weightscope.analyses.inventory import Inventory
from weightscope.analyses.tying import Tying
from weightscope.checkpoint.reader import Checkpoint
from weightscope.components.walk import Slot, walk
from weightscope.families.declaration import Declaration
from weightscope.ranges import fill
from weightscope.roles import Role, Section
from weightscope.storage.base import Kind

WEIGHT = ".weight"


class Matrix(msgspec.Struct, frozen=True, kw_only=True):
    """A weight of one shape under the `names` that are there, all of one template that has `count` of them.

    `shape` is as the module has it, before quantization; None where it is packed and nothing declares it.
    """

    title: str
    names: tuple[str, ...]
    count: int
    shape: tuple[int, ...] | None
    roles: tuple[Role, ...]
    section: Section
    inferred: bool = False

    @property
    def is_module(self) -> bool:
        """Whether it is the weight of a module, not a parameter beside modules (experts of some mixtures)."""
        return self.names[0].endswith(WEIGHT)

    @property
    def is_stack(self) -> bool:
        """Whether it holds the matrices of several experts."""
        return len(self.shape or ()) == 3 and self.section is Section.MOE

    @property
    def is_linear(self) -> bool:
        """Whether a module has it as its one weight."""
        return self.is_module and not self.is_stack

    @property
    def module(self) -> str:
        """The last word of its module's name, or of its own."""
        return module_of(self.names[0]).rpartition(".")[2]


def module_of(name: str) -> str:
    """The module of a weight; a parameter outside of modules is named as it is."""
    return name.removesuffix(WEIGHT)


def matrices(
    declaration: Declaration | None, inventory: Inventory, checkpoint: Checkpoint, tying: Tying
) -> Iterator[Matrix]:
    """Every weight of the main model, declared ones in the order of the forward pass, then those that are not."""
    there = _There.of(inventory, checkpoint, tying)
    for slot in walk(declaration.tree) if declaration else ():
        if slot.stored.kind is not Kind.WEIGHT or slot.auxiliary:
            continue
        if names := there.of_slot(slot):
            yield Matrix(
                title=fill(slot.template, slot.ranges), names=names, count=slot.count,
                shape=tuple(map(int, slot.stored.shape)),
                roles=tuple(role for role, _ in slot.stored.parts), section=slot.section,
            )  # fmt: skip
    for group in inventory.groups:
        if group.inferred and group.kind is Kind.WEIGHT and not group.alias:
            yield from _inferred(group, checkpoint)


class _There(msgspec.Struct, frozen=True, kw_only=True):
    """Which weights the model has; those of quantized modules have other names on disk."""

    names: AbstractSet[str]
    owners: AbstractSet[str]
    missing: AbstractSet[str]
    tied: bool

    @classmethod
    def of(cls, inventory: Inventory, checkpoint: Checkpoint, tying: Tying) -> _There:
        missing = {name for _, names in inventory.missing for name in names}
        return cls(
            names=frozenset(checkpoint.names),
            owners={name.rpartition(".")[0] for name in checkpoint.names},
            missing=missing | {name.rpartition(".")[0] for name in missing},
            tied=tying.tied,
        )

    def of_slot(self, slot: Slot) -> tuple[str, ...]:
        """The names of the slot's weights that are there; what shares another's is a module too, stored or not."""
        is_tied_head = self.tied and Role.LM_HEAD in dict(slot.stored.parts) and slot.section is Section.HEAD
        # A block that several layers share counts as weights once, and is a module in each of them.
        is_copy = slot.stored.optional and not slot.stored.logical
        if is_tied_head or is_copy:
            return tuple(slot.names())
        has = self._has_optional if slot.stored.optional else self._has_required
        return tuple(name for name in slot.names() if name in self.names or has(name))

    def _has_optional(self, name: str) -> bool:
        return name.endswith(WEIGHT) and module_of(name) in self.owners

    def _has_required(self, name: str) -> bool:
        return name not in self.missing and module_of(name) not in self.missing


def _inferred(group: Group, checkpoint: Checkpoint) -> Iterator[Matrix]:
    shapes: dict[tuple[int, ...] | None, list[str]] = {}
    for name in group.names:
        entry = checkpoint.tensors.get(name)
        packed = entry is None or group.scheme is not None or group.uncounted
        shapes.setdefault(None if packed or entry is None else entry.shape, []).append(name)
    for shape, names in shapes.items():
        yield Matrix(
            title=group.title,
            names=tuple(names),
            count=len(names),
            shape=shape,
            roles=group.roles,
            section=group.section,
            inferred=True,
        )


def parameters_of(matrix: Matrix, rank: int) -> int:
    """What LoRA adds to all of them: A is (rank, in), B is (out, rank), of each expert where several are stacked."""
    shape = matrix.shape or ()
    # The kernel of a convolution belongs to A, as PEFT has it.
    each = shape[0] * (shape[1] + shape[2]) if len(shape) == 3 else shape[0] + prod(shape[1:])
    return len(matrix.names) * rank * each


def smaller_side(matrix: Matrix) -> int:
    """The rank that such a matrix can have at most."""
    shape = matrix.shape or (0,)
    return min(shape[-2:]) if len(shape) in (2, 3) else min(shape[0], prod(shape[1:]))
