"""The widths at a projector, as config.json gives them and as they are stored: tower, bridge, language model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec

from weightscope.analyses.groups import Group
from weightscope.analyses.inventory import Inventory
from weightscope.components.decoder import Decoder
from weightscope.components.walk import Slot, find
from weightscope.families.declaration import Declaration
from weightscope.roles import Role, Section
from weightscope.sizes import Size
from weightscope.storage.base import Kind

# What is no part of the language model.
APART = frozenset({Section.VISION, Section.AUDIO, Section.PROJECTOR, Section.ADAPTER, Section.MTP})
# What ends a tower's block has the tower's width as its first dimension, (out, in).
LAST_OF_BLOCK = (Role.O_PROJ, Role.DOWN_PROJ)
# How keys end that give a width, and not a number of rows.
WIDTHS = ("hidden_size", "_dim")


class Width(msgspec.Struct, frozen=True, kw_only=True):
    """A width as config.json gives it, and as most of the tensors that have it are stored."""

    declared: Size
    stored: int

    @property
    def fits(self) -> bool:
        """Whether both are the same."""
        return self.declared == self.stored


class Bridge(msgspec.Struct, frozen=True, kw_only=True):
    """Widths on both sides of a projector: of the tower and what the projector takes, what it puts out and the model's.

    `patches` is how many vectors of the tower the projector takes at once. A side is None where no declared size
    tells it.
    """

    tower: Width | None
    takes: Width | None
    patches: int
    puts_out: Width | None
    language: Width | None

    @property
    def unfit_tower(self) -> bool:
        """Whether the projector takes something else than the tower puts out."""
        return bool(self.tower and self.takes and self.takes.stored != self.patches * self.tower.stored)

    @property
    def unfit_language(self) -> bool:
        """Whether the projector puts out something else than the language model's width."""
        return bool(self.puts_out and self.language and self.puts_out.stored != self.language.stored)

    @property
    def as_declared(self) -> bool:
        """Whether the files have every width as config.json gives it."""
        return all(width is None or width.fits for width in (self.tower, self.takes, self.puts_out, self.language))

    @property
    def keys(self) -> tuple[str, ...]:
        """The config keys of what does not fit."""
        widths = [self.takes, self.tower] if self.unfit_tower else []
        widths += [self.puts_out, self.language] if self.unfit_language else []
        return tuple(dict.fromkeys(key for width in widths if width for key in width.declared.keys))

    def sentence(self) -> str:
        """What does not fit, in one sentence."""
        said = []
        if self.unfit_tower and self.takes and self.tower:
            said.append(_takes(self.takes.stored, self.tower.stored, self.patches))
        if self.unfit_language and self.puts_out and self.language:
            said.append(
                f"{'it' if said else 'the projector'} puts out {self.puts_out.stored:,} features, but the language "
                f"model's hidden size is {self.language.stored:,}"
            )
        return ", and ".join(said)


def bridge_of(declaration: Declaration | None, inventory: Inventory) -> Bridge | None:
    """The widths at the projector; None of a model that has none, or whose sizes do not tell them."""
    if declaration is None or declaration.part:
        return None
    slots = [slot for slot in declaration.slots if slot.stored.kind is Kind.WEIGHT and not slot.stored.opaque]
    matrices = [slot for slot in slots if slot.section is Section.PROJECTOR and _logical(slot) is not None]
    decoders = find(declaration.tree, Decoder)
    decoder = next((found for found in decoders if found.embedding.role is Role.TOKEN_EMBEDDING), None)
    if not matrices or decoder is None:
        return None
    tower, width = _tower_width(slots), decoder.embedding.width
    first = next((slot for slot in matrices if tower and _is_made_of(_sides(slot)[1], tower)), None)
    last = matrices[-1]
    groups = [group for group in inventory.groups if group.shape is not None and not group.packed]
    by_template = {group.template: group for group in groups}
    return Bridge(
        tower=_width(tower, (g for g in groups if g.section is Section.VISION)) if tower else None,
        takes=_side(matrices, first, 1, by_template) if first else None,
        patches=int(_sides(first)[1]) // int(tower) if first and tower else 1,
        puts_out=_side(matrices, last, 0, by_template) if _is_exit(_sides(last)[0], width, tower) else None,
        language=_width(width, (g for g in groups if g.section not in APART)),
    )


def _takes(taken: int, width: int, patches: int) -> str:
    if patches == 1:
        return f"the projector takes {taken:,} features, but the vision tower puts out {width:,}"
    whole = f"{patches:,} × {width:,} = {patches * width:,}"
    each = f" ({patches:,} × {taken // patches:,})" if taken % patches == 0 else ""
    return f"the projector takes {taken:,} features{each}, but the vision tower puts out {whole}"


def _tower_width(slots: Iterable[Slot]) -> Size | None:
    """What the tower's last block puts out."""
    found: Size | None = None
    for slot in slots:
        role = slot.stored.parts[0][0]
        if slot.section is Section.VISION and role in LAST_OF_BLOCK and (sides := _logical(slot)):
            found = sides[0]
    return found


def _logical(slot: Slot) -> tuple[Size, Size] | None:
    """A matrix as (out, in), however it lies on disk; None of what holds several or none."""
    role = slot.stored.parts[0][0]
    sizes = slot.owner.sizes().get(role, ())
    return (sizes[0], sizes[1]) if len(sizes) == len(slot.stored.shape) == 2 and len(slot.stored.parts) == 1 else None


def _sides(slot: Slot) -> tuple[Size, Size]:
    sides = _logical(slot)
    assert sides is not None
    return sides


def _is_made_of(size: Size, width: Size) -> bool:
    """Whether it is the width, or that of several vectors side by side."""
    return bool(width) and set(width.keys) <= set(size.keys) and size % width == 0


def _is_exit(size: Size, width: Size, tower: Size | None) -> bool:
    """Whether a size stands for the language model's width: it is that, or a key of its own that means a width."""
    if size == width:
        return True
    own = len(size.keys) == 1 and size.text == size.keys[0] and size.keys != (tower and tower.keys)
    return own and size.text.endswith(WIDTHS)


def _side(matrices: Iterable[Slot], like: Slot, side: int, groups: dict[str, Group]) -> Width | None:
    """One dimension of a matrix and of those called like it: a model may have several projectors."""
    declared = _sides(like)[side]
    votes: Counter[int] = Counter()
    for slot in matrices:
        alike = (
            slot.template.rpartition(".")[0].rpartition(".")[2] == like.template.rpartition(".")[0].rpartition(".")[2]
        )
        group = groups.get(slot.template)
        if not alike or group is None or _sides(slot)[side].text != declared.text:
            continue
        turned = tuple(slot.stored.shape) != _sides(slot)
        for (_, shape), count in group.counts.items():
            if len(shape) == 2:
                votes[shape[1 - side if turned else side]] += count
    return Width(declared=declared, stored=votes.most_common(1)[0][0]) if votes else None


def _word(slot: Slot) -> str:
    """What its module is called."""
    return slot.template.removesuffix(".weight").rpartition(".")[2]


def _width(declared: Size, groups: Iterable[Group]) -> Width | None:
    """What most of the tensors have that config.json gives this width."""
    votes: Counter[int] = Counter()
    for group in groups:
        sizes = group.shape or ()
        for (_, shape), count in group.counts.items():
            for size, stored in zip(sizes, shape, strict=False):
                if len(shape) == len(sizes) and size.text == declared.text:
                    votes[stored] += count
    return Width(declared=declared, stored=votes.most_common(1)[0][0]) if votes else None
