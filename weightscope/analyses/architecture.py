"""A declared model as a drawing: its parts in the order of the pass, repeated ones once, with their tensors."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

import msgspec

from weightscope.analyses.alike import Alike, alike, within
from weightscope.analyses.inventory import Inventory
from weightscope.analyses.tying import Tying
from weightscope.brief import brief
from weightscope.checkpoint.entry import TensorEntry
from weightscope.components.base import Component, Indices, Repeat
from weightscope.components.walk import Slot, walk
from weightscope.families.declaration import Declaration
from weightscope.ranges import fill
from weightscope.roles import Role, Section
from weightscope.storage.base import join

# Where GGUF's names of an encoder's and a decoder's tensors begin, in a model that has both.
STACKS = {"enc": "encoder", "dec": "decoder"}
# The kind of what is repeated and is no layer.
PART = "part"
CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One box of the drawing.

    `path` are its modules with ranges of numbers. `equation` is empty where only the parts say what it computes,
    `repeats` says whether it frames what is repeated. `tensors` are its own that are stored, `templates` those of all
    that it should have, `layers` the numbers of its layers, `terms` what each role makes. `parameters` are those of all
    below, None where nothing tells those of one.
    """

    title: str
    path: str
    section: str
    parts: tuple[Part, ...]
    parameters: int | None
    equation: str = ""
    glance: str = ""
    repeats: bool = False
    terms: Mapping[str, str] = {}
    tensors: tuple[Alike, ...] = ()
    templates: tuple[str, ...] = ()
    layers: Indices = ()

    __repr__ = brief


def architecture(
    declaration: Declaration, inventory: Inventory, tying: Tying, tensors: Mapping[str, TensorEntry]
) -> tuple[Part, ...]:
    """The model's parts in the order of the forward pass; `tensors` are the checkpoint's.

    What only holds others is left out where it says nothing of them.
    """
    return tuple(_Drawer(declaration, inventory, tying, tensors).parts(declaration.tree, _Place()))


class _Place(msgspec.Struct, frozen=True):
    """A component's prefix with `{}` for numbers, the numbers, what it is accounted to, and what it is within."""

    prefix: str = ""
    ranges: tuple[Indices, ...] = ()
    section: str = ""
    inside: bool = False
    auxiliary: bool = False

    def of(self, component: Component) -> _Place:
        """The component's own place, below this one."""
        prefix = join(self.prefix, component.name)
        section = str(component.section) if component.section else self.section
        auxiliary = self.auxiliary or component.auxiliary
        if not isinstance(component, Repeat):
            return _Place(prefix, self.ranges, section, self.inside, auxiliary)
        below = f"{prefix}.{component.number_prefix}{{}}"
        return _Place(below, (*self.ranges, component.indices), section, True, auxiliary)

    @property
    def path(self) -> str:
        """The modules, with ranges."""
        return fill(self.prefix, self.ranges)


class _Drawer:
    """Draws components with what is stored of them."""

    def __init__(
        self, declaration: Declaration, inventory: Inventory, tying: Tying, tensors: Mapping[str, TensorEntry]
    ) -> None:
        self.tying = tying
        self.contained = declaration.contained
        self.stored: dict[str, list[Alike]] = {}
        for group in inventory.counted:
            if not group.inferred:
                self.stored.setdefault(group.template, []).extend(alike(group, tensors))
        # Layers that alternate in maths and store the same have slots in common, whose owner is one of them: so a
        # slot is found by the module that it is named after.
        self.slots: dict[str, list[Slot]] = {}
        modules = {_module(slot.template) for slot in walk(declaration.tree)}
        for slot in declaration.slots:
            key = slot.owner.name if self.contained else _longest(slot.template, modules)
            self.slots.setdefault(key, []).append(slot)

    def parts(self, component: Component, above: _Place) -> Iterator[Part]:
        """The component as a box, or the boxes in it where it only holds others."""
        if isinstance(component, Repeat) and not component.indices:
            return
        place = above.of(component)
        children = list(self.children(component, place))
        slots = self.slots_of(component, place)
        tensors = tuple(each for slot in slots for each in self.stored_of(slot, place))
        told = not place.auxiliary and any(map(_is_told, slots))
        if isinstance(component, Repeat) and children:
            yield self.repeated(component, place, children)
        elif tensors or told or (children and self.is_frame(component, place)):
            yield self.box(component, place, slots, tensors, children)
        else:
            yield from children

    def children(self, component: Component, place: _Place) -> Iterator[Part]:
        """The boxes of a component's children; an encoder and a decoder, or an eye and a language model, are framed."""
        boxes = [(child, tuple(self.parts(child, place))) for child in component.children()]
        several = not place.inside and sum(len(parts) > 1 for _, parts in boxes) > 1
        for child, parts in boxes:
            # Towers and bridges are frames by themselves.
            framed = all(part.parts and not part.tensors and not part.repeats for part in parts)
            if several and len(parts) > 1 and not framed:
                yield self.frame(child, place.of(child), parts)
            else:
                yield from parts

    def frame(self, component: Component, place: _Place, parts: tuple[Part, ...]) -> Part:
        """A frame around the boxes of a part of the model, named after its module."""
        return Part(
            title=component.name.rpartition(".")[2].replace("_", " ") or _title(component, {}),
            path=place.path,
            section=place.section,
            parts=parts,
            parameters=_added((), parts, self.tying),
        )

    def is_frame(self, component: Component, place: _Place) -> bool:
        """Whether it stores nothing itself and is drawn all the same: parts of a layer, and towers and bridges."""
        return component.section is not None or (_says(component) and not place.inside)

    def box(
        self,
        component: Component,
        place: _Place,
        slots: Sequence[Slot],
        tensors: tuple[Alike, ...],
        parts: Sequence[Part],
    ) -> Part:
        """A component that stores something, or frames its parts."""
        required = [slot for slot in slots if not slot.stored.optional]
        roles = {role for each in tensors for role in each.group.roles}.union(*map(_roles, required))
        terms = {str(role): term for role, term in component.terms().items() if role in roles}
        return Part(
            title=_title(component, terms),
            path=place.path,
            equation=component.equation() if _says(component) else "",
            glance=component.glance,
            section=place.section or next((str(each.group.section) for each in tensors), ""),
            terms=terms,
            tensors=tensors,
            templates=tuple(slot.template for slot in required),
            layers=place.ranges[0] if place.ranges else (),
            parts=tuple(parts),
            parameters=_added(tensors, parts, self.tying),
        )

    def repeated(self, component: Repeat, place: _Place, parts: Sequence[Part]) -> Part:
        """The frame around what is repeated; what its child computes of its parts is the frame's equation."""
        child = component.child
        count = len(component.indices)
        return Part(
            title=f"{count:,} {component.of}{'' if count == 1 else 's'}",
            path=place.path,
            equation=child.equation() if _says(child) and not any(True for _ in child.stored) else "",
            repeats=True,
            section=place.section,
            parts=tuple(parts),
            parameters=_added((), parts, self.tying),
        )

    def stored_of(self, slot: Slot, place: _Place) -> Iterator[Alike]:
        """What is stored of a slot at a place."""
        # A layer that predicts ahead may use the main model's table.
        stored = self.stored.get(slot.template, ()) if slot.ranges else self.stored.pop(slot.template, ())
        if self.contained and place.auxiliary:
            # GGUF numbers layers that predict ahead after all others.
            yield from (each for each in stored if each.group.auxiliary)
        elif self.contained and slot.kinds[:1] == (PART,):
            # GGUF numbers parts that take the output of some layers by those layers.
            yield from stored
        else:
            yield from filter(None, (within(each, place.ranges) for each in stored))

    def slots_of(self, component: Component, place: _Place) -> tuple[Slot, ...]:
        """A component's own slots, in the order of its declaration.

        A container's names (GGUF's) tell no module, so there they are found by their roles.
        """
        sizes = component.sizes()
        if self.contained:
            roles = sizes.keys() | {role for item in component.stored for role in item.roles}
            own = (
                slot
                for slot in self.slots.get(component.name, ())
                if slot.auxiliary == place.auxiliary and roles >= set(_roles(slot)) and _is_of_stack(slot, place)
            )
        else:
            names = (stored.name for item in component.stored for stored in item.tensors(place.prefix, sizes))
            own = (slot for module in dict.fromkeys(map(_module, names)) for slot in self.slots.get(module, ()))
        here = {slot.template: slot for slot in own if len(slot.ranges) <= len(place.ranges)}
        return tuple(here.values())


def _is_of_stack(slot: Slot, place: _Place) -> bool:
    """Whether a container's tensor is of the place's encoder or decoder, where a model has both."""
    stack = STACKS.get(slot.template.partition(".")[0])
    return stack is None or stack in place.prefix.split(".")


def _is_told(slot: Slot) -> bool:
    """Whether its component is drawn without anything stored: what is missing, and a head that is tied."""
    return not slot.stored.optional or (slot.section is Section.HEAD and not slot.auxiliary)


def _roles(slot: Slot) -> tuple[Role, ...]:
    return tuple(role for role, _ in slot.stored.parts)


def _module(template: str) -> str:
    """What a weight and all that quantization stores in its place are named after."""
    return template.removesuffix(".weight").removesuffix(".bias")


def _longest(template: str, modules: Container[str]) -> str:
    """The module that a stored name belongs to: `…experts.down_proj` of `…experts.down_proj_scales`."""
    ends = [len(template), *(mark.start() for mark in re.finditer(r"[._]", template))]
    return next((template[:end] for end in sorted(ends, reverse=True) if template[:end] in modules), "")


def _added(tensors: Iterable[Alike], parts: Iterable[Part], tying: Tying) -> int | None:
    counts = [*(each.counted(tying) for each in tensors), *(part.parameters for part in parts)]
    return None if None in counts else sum(count or 0 for count in counts)


def _says(component: Component) -> bool:
    """Whether its class says what it computes."""
    return type(component).equation is not Component.equation


def _title(component: Component, terms: Mapping[str, str]) -> str:
    """The role of what stores one, else the component's word in small letters."""
    if len(terms) == 1:
        return next(iter(terms))
    return CAPITAL.sub(" ", component.word).lower() if component.word[:1].isupper() else component.word
