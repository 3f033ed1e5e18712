"""Every component of a declared model at its place: each layer and expert by itself."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec.structs import replace

from weightscope.components.base import Component, Repeat
from weightscope.components.walk import dominant, section_at
from weightscope.roles import Role, Section
from weightscope.storage.base import join


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A component and where it is. `stack` is the module path of its layers, `numbers` those of experts and parts.

    What is below a `copied` one is stored elsewhere.
    """

    component: Component
    prefix: str = ""
    stack: str = ""
    layer: int | None = None
    numbers: tuple[int, ...] = ()
    section: Section | None = None
    copied: bool = False

    def section_of(self, role: Role) -> Section:
        """The component of the breakdown that a role is accounted to here."""
        return section_at(role, self.section)


def places(component: Component) -> Iterator[Place]:
    """All of them, in the order of the forward pass."""
    yield from _below(component, Place(component=component))


def _below(component: Component, outer: Place) -> Iterator[Place]:
    prefix = join(outer.prefix, component.name)
    here = replace(
        outer,
        component=component,
        prefix=prefix,
        section=dominant(outer.section, component.section),
        copied=outer.copied or component.copied,
    )
    if not isinstance(component, Repeat):
        yield here
        for child in component.children():
            yield from _below(child, here)
        return
    for index in component.indices:
        at = replace(here, prefix=f"{prefix}.{component.number_prefix}{index}")
        is_layer = component.of == "layer" and here.layer is None
        at = replace(at, stack=prefix, layer=index) if is_layer else replace(at, numbers=(*here.numbers, index))
        yield from _below(component.child, at)
