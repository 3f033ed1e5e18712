"""Which changes of a role's values by the converter are undone, and in what shape the file has it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from math import prod

from weightscope.components.attention.softmax import Attention
from weightscope.components.recurrent.gated_delta import GatedDeltaNet
from weightscope.components.recurrent.gated_norm import GatedRMSNorm
from weightscope.components.walk import Slot
from weightscope.gguf.architecture import Architecture, Change
from weightscope.gguf.values import NegativeExp, PairedRows, PlusOne, TiledHeads, Undo
from weightscope.roles import Role
from weightscope.sizes import Shape, Size
from weightscope.storage.base import Kind


def undone(role: Role, slot: Slot, architecture: Architecture) -> Iterator[Undo]:
    """What the converter did to the values of a role, backwards, the last change first."""
    for change in architecture.changes.get(role, ()):
        undo = UNDOING[change](role, slot)
        if undo is not None:
            yield undo


def held_as(shape: Shape, role: Role, slot: Slot, architecture: Architecture) -> tuple[Shape, Shape | None]:
    """The shape that the file has where it has another one than `shape`, and one that means the same.

    Dimensions of 1 are left out, or one is added.
    """
    form = architecture.forms.get(role) if slot.stored.kind is Kind.WEIGHT else None
    if form == "column":
        return (*shape, Size(1)), shape
    if form == "groups" and isinstance(slot.owner, GatedRMSNorm):
        groups = slot.owner.groups
        return (Size(groups), Size(int(prod(shape)) // max(groups, 1))), shape
    squeezed = tuple(size for size in shape if size != 1)
    if not 0 < len(squeezed) < len(shape):
        return shape, None
    return (squeezed, shape) if role is Role.CONVOLUTION else (shape, squeezed)


def _paired_rows(_: Role, slot: Slot) -> Undo | None:
    # Queries and keys of a delta net are not rotated.
    return PairedRows(int(slot.owner.heads.size)) if isinstance(slot.owner, Attention) else None


def _plus_one(_: Role, slot: Slot) -> Undo | None:
    # A gated norm adds no 1.
    plain = slot.stored.kind is Kind.WEIGHT and not isinstance(slot.owner, GatedRMSNorm)
    return PlusOne() if plain else None


def _negative_exp(_: Role, slot: Slot) -> Undo | None:
    del slot
    return NegativeExp()


def _tiled_heads(role: Role, slot: Slot) -> Undo | None:
    """Of a delta net whose keys serve several values each, all that is one for each value head."""
    owner = slot.owner
    if not isinstance(owner, GatedDeltaNet) or owner.key_heads == owner.value_heads:
        return None
    whole = role in (Role.V_PROJ, Role.Z_PROJ, Role.OUT_PROJ, Role.CONVOLUTION)
    return TiledHeads(
        keys=int(owner.key_heads),
        size=int(owner.value_dim) if whole else 1,
        along=1 if role is Role.OUT_PROJ else 0,
        first=int(owner.key_heads * owner.key_dim * 2) if role is Role.CONVOLUTION else 0,
    )


UNDOING: Mapping[Change, Callable[[Role, Slot], Undo | None]] = {
    "paired rows": _paired_rows,
    "plus one": _plus_one,
    "negative exp": _negative_exp,
    "tiled heads": _tiled_heads,
}
