"""What one tensor does: its role and term in the equation, its shape in config terms, its place in the pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from math import prod
from typing import NamedTuple

import msgspec

from weightscope.analyses.accounting import count_whole
from weightscope.analyses.groups import Group
from weightscope.analyses.inventory import Inventory
from weightscope.analyses.naming import find_meant
from weightscope.analyses.other_names import other_names
from weightscope.analyses.tying import Tying
from weightscope.brief import Displayed, brief
from weightscope.checkpoint.reader import Checkpoint
from weightscope.components.walk import Slot
from weightscope.families.declaration import Declaration
from weightscope.ranges import Names, expand, fill, holes, numbers_in
from weightscope.roles import Role
from weightscope.sizes import Shape
from weightscope.storage.base import Kind


class Neighbour(msgspec.Struct, frozen=True, kw_only=True):
    """A component beside another in the pass: the roles and names of its weights."""

    roles: tuple[str, ...]
    names: tuple[str, ...]


class Explanation(Displayed, msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is known of one tensor without its values.

    Attributes:
        name: its name.
        roles: its role, or the roles that it fuses.
        component: such as `attention`.
        kind: `weight`, `bias`, `buffer`, `scale`, or `copy` of another.
        inferred: whether the roles were guessed from the name.
        layer: the layer's number; None outside of layers.
        expert: the expert's number; None outside of experts.
        dtype: as it is stored; None where nothing is stored.
        file: where it lies; None where nothing is stored.
        shape: as it is stored, or as the config gives it.
        shape_terms: each dimension in config terms, such as `num_key_value_heads·head_dim`.
        layout: how its roles lie in the tensor, in words; empty for one matrix as it is used.
        equation: of the component; empty for what no declaration explains.
        terms: what its roles compute; empty for what no declaration explains.
        before: what comes before it in the forward pass.
        beside: the other weights of its component.
        after: what comes after it.
        parameters: the weights that it holds.
        share: from 0 to 1, of all parameters.
        notes: further sentences, such as how the rotation works.
        scales: the scales of a quantized weight.
        scaled: the weight of a scale.
        matches: all tensors that were asked for, where they are several.
    """

    name: str
    roles: tuple[str, ...]
    component: str
    kind: str
    inferred: bool
    layer: int | None
    expert: int | None
    dtype: str | None
    file: str | None
    shape: tuple[int, ...] | None
    shape_terms: tuple[str, ...]
    layout: str
    equation: str
    terms: tuple[str, ...]
    before: Neighbour | None
    beside: Neighbour | None
    after: Neighbour | None
    parameters: int
    share: float
    notes: tuple[str, ...]
    scales: tuple[str, ...]
    scaled: tuple[str, ...]
    matches: tuple[str, ...]

    __repr__ = brief


def explain_tensor(
    name: str, declaration: Declaration | None, inventory: Inventory, checkpoint: Checkpoint, tying: Tying
) -> Explanation:
    """The explanation of a tensor that is stored or, with a config alone, would be: the first that `name` stands for.

    Raises:
        UsageError: there is no such tensor; the hint names those that are nearest.
    """
    name, group, titles = find_meant(name, inventory, partial(other_names, declaration, inventory, checkpoint))
    slot = _slot_of(name, declaration)
    entry = checkpoint.tensors.get(name)
    planned = next((shape for _, shape in group.counts), None)
    shape = entry.shape if entry else planned
    parameters = 0 if _counted_elsewhere(name, tying) else group.weights_in(shape)
    whole = count_whole(inventory, tying)
    numbers = group.numbers_of(name)
    owner = slot.owner if slot else None
    terms = owner.terms() if owner else {}
    return Explanation(
        name=name,
        roles=tuple(map(str, group.roles)),
        component=str(group.section),
        kind=str(group.kind),
        inferred=group.inferred,
        layer=group.layer_of(name),
        expert=numbers[group.kinds.index("expert")] if "expert" in group.kinds and not group.inferred else None,
        dtype=entry.dtype if entry else None,
        file=checkpoint.place_of(entry) if entry else None,
        shape=shape,
        shape_terms=config_terms(group.shape or ()),
        layout=layout_of(slot),
        equation=owner.equation() if owner and group.kind is not Kind.BUFFER else "",
        terms=tuple(terms[role] for role in group.roles if role in terms),
        **_neighbours(slot, numbers, declaration),
        parameters=parameters,
        share=parameters / whole if whole else 0.0,
        notes=tuple(notes_on(name, group, slot, tying)),
        scales=tuple(_partners(name, group, inventory, Kind.SCALE)) if group.kind is Kind.WEIGHT else (),
        scaled=tuple(_partners(name, group, inventory, Kind.WEIGHT)) if group.kind is Kind.SCALE else (),
        matches=titles if titles != (name,) else (),
    )


def config_terms(shape: Shape) -> tuple[str, ...]:
    """A shape's dimensions in config terms; a sum beside others is in brackets."""
    return tuple(size.text if len(shape) == 1 else size.factor for size in shape)


def _partners(name: str, group: Group, inventory: Inventory, kind: Kind) -> Iterator[str]:
    """The scales of a weight, or the weight of a scale: of the same module, for the same roles."""
    module = name.rpartition(".")[0]
    for other in inventory.groups:
        if other.kind is not kind or not set(other.roles) & set(group.roles):
            continue
        if kind is Kind.WEIGHT and not other.packed and other.scheme is None and not other.inferred:
            continue
        template = other.template.rpartition(".")[0]
        numbers = numbers_in(template, module)
        if numbers is not None and holes(template) == len(other.ranges):
            filled = expand(other.template, [(number,) for number in numbers])
            yield from (partner for partner in filled if partner in other.every_name)


def _slot_of(name: str, declaration: Declaration | None) -> Slot | None:
    slots = declaration.slots if declaration else ()
    return next((slot for slot in slots if name in Names(slot.template, slot.ranges)), None)


def _counted_elsewhere(name: str, tying: Tying) -> bool:
    return tying.tied and tying.head == name


def layout_of(slot: Slot | None) -> str:
    """How a weight's roles lie in its tensor, where that is not plain."""
    if slot is None or slot.stored.kind is not Kind.WEIGHT:
        return ""
    if slot.stored.layout is not None:
        return slot.stored.layout
    roles = tuple(role for role, _ in slot.stored.parts)
    for item in slot.owner.stored:
        if item.roles == roles:
            return item.layout(slot.owner.sizes())
    return ""


class _Place(NamedTuple):
    """A slot at one layer; outside of layers, `layer` is empty."""

    slot: Slot
    layer: tuple[int, ...]

    @property
    def part(self) -> tuple[int, tuple[int, ...]]:
        """What the tensors of one component at one place have in common."""
        return id(self.slot.owner), self.layer

    @property
    def is_weight(self) -> bool:
        """Whether the pass is sure to use it; buffers and old tables it is not."""
        head = self.slot.stored.parts[0][0] is Role.LM_HEAD
        return self.slot.stored.kind is Kind.WEIGHT and (head or not self.slot.stored.optional)


def _neighbours(
    slot: Slot | None, numbers: tuple[int, ...], declaration: Declaration | None
) -> dict[str, Neighbour | None]:
    """The components before and after the slot's own, across layers where it is a layer's first or last."""
    if slot is None or declaration is None:
        return {"before": None, "beside": None, "after": None}
    layer = numbers[:1] if slot.ranges else ()
    slots = [other for other in declaration.slots if other.auxiliary == slot.auxiliary]
    order = [place for place in _in_order(slots, layer) if place.is_weight or place.slot is slot]
    part = _Place(slot, layer).part
    first = next(i for i, place in enumerate(order) if place.part == part)
    last = max(i for i, place in enumerate(order) if place.part == part)
    before, after = order[:first], order[last + 1 :]
    found = {
        "before": [place for place in before if place.part == before[-1].part],
        "beside": [place for place in order if place.part == part and place.slot is not slot],
        "after": [place for place in after if place.part == after[0].part],
    }
    return {name: _neighbour(places, numbers[1:]) for name, places in found.items()}


def _neighbour(places: list[_Place], expert: tuple[int, ...]) -> Neighbour | None:
    if not places:
        return None
    roles = dict.fromkeys(str(role) for place in places for role, _ in place.slot.stored.parts)
    return Neighbour(roles=tuple(roles), names=tuple(_title(place, expert) for place in places))


def _in_order(slots: Iterable[Slot], layer: tuple[int, ...]) -> Iterator[_Place]:
    """Slots in the order of the pass; of the layers those next to `layer`, and the first and the last."""
    stacks: dict[str, list[Slot]] = {}
    for slot in slots:
        key = slot.template.partition("{}")[0] if slot.ranges else slot.template
        stacks.setdefault(key, []).append(slot)
    for members in stacks.values():
        if not members[0].ranges:
            yield from (_Place(slot, ()) for slot in members)
            continue
        numbers = sorted({number for slot in members for number in slot.ranges[0]})
        near = {numbers[0], numbers[-1], *(number + step for number in layer for step in (-1, 0, 1))}
        for number in (n for n in numbers if n in near):
            yield from (_Place(slot, (number,)) for slot in members if number in slot.ranges[0])


def _title(place: _Place, expert: tuple[int, ...]) -> str:
    """The place's name, of the same expert or of all."""
    experts = [(expert[0],) if expert else indices for indices in place.slot.ranges[1:]]
    return fill(place.slot.template, [*((number,) for number in place.layer), *experts])


def notes_on(name: str, group: Group, slot: Slot | None, tying: Tying) -> Iterator[str]:
    """What is worth knowing of a tensor beside its equation: quantization, tying, that it is a buffer or a guess."""
    if group.inferred:
        yield "Role guessed from the name: no declaration has this tensor."
    if slot is None:
        return
    yield from slot.owner.notes(group.roles)
    if group.kind is Kind.BUFFER:
        computed = "newer code computes it, so the forward pass does not read it"
        yield f"A buffer, not a learned weight: {computed if slot.stored.optional else 'the forward pass reads it'}."
    yield from _quantized(group)
    if group.auxiliary:
        yield "Part of the auxiliary layers, which the main model does not use."
    if tying.tied and Role.TOKEN_EMBEDDING in group.roles:
        yield "Tied: also used as the head, logits = token_embedding·x."
    if _counted_elsewhere(name, tying):
        yield "Tied: a copy of the embedding; its parameters are counted there."


def _quantized(group: Group) -> Iterator[str]:
    if group.scheme is None:
        return
    yield f"Quantized: {group.scheme.words}."
    if group.scheme.formula:
        yield f"Dequantized: {group.scheme.formula}."
    if group.kind is Kind.SCALE:
        yield f"A scale of a weight quantized with {group.scheme.name}; it adds no parameters."
    elif group.packed:
        elements = group.packing[1] or next((prod(shape) for _, shape in group.counts), 0)
        yield (
            f"Packed: {group.packing[0]:,} weights"
            + (f" in {elements:,} elements" if elements else "")
            + (f", {group.scheme.packing}." if group.scheme.packing else ".")
        )
