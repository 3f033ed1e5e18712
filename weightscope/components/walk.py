"""The one walk over a declaration: every stored tensor below a component, repeated ones once."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from math import prod
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from weightscope.brief import brief
from weightscope.components.base import Component, Indices, Repeat
from weightscope.ranges import expand
from weightscope.roles import Role, Section, section_of
from weightscope.storage.base import Stored, join


class Slot(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """A stored tensor of the declaration, once for all layers and experts that have one like it.

    `template` has a `{}` for each of `ranges`. `owner` is the component that stores it. `chosen` is the share of them
    that one token uses, as (k, n).
    """

    template: str
    ranges: tuple[Indices, ...]
    kinds: tuple[str, ...]
    stored: Stored
    owner: Component
    section: Section
    auxiliary: bool
    chosen: tuple[int, int] = (1, 1)

    __repr__ = brief

    @cached_property
    def count(self) -> int:
        """How many tensors the slot stands for."""
        return prod(len(indices) for indices in self.ranges)

    def names(self) -> Iterator[str]:
        """Every tensor name, the last index running fastest."""
        return expand(self.template, self.ranges)

    def first_name(self) -> str:
        """The name with the first index of each range, or an empty string where a range is empty."""
        return self.template.format(*(indices[0] for indices in self.ranges)) if self.count else ""

    def last_name(self) -> str:
        """The same with the last index of each."""
        return self.template.format(*(indices[-1] for indices in self.ranges)) if self.count else ""


class _Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where the walk is: what the ancestors said of everything below them."""

    prefix: str = ""
    ranges: tuple[Indices, ...] = ()
    kinds: tuple[str, ...] = ()
    section: Section | None = None
    auxiliary: bool = False
    copied: bool = False
    chosen: tuple[int, int] = (1, 1)

    def below(self, component: Component) -> _Place:
        place = replace(
            self,
            prefix=join(self.prefix, component.name),
            section=dominant(self.section, component.section),
            auxiliary=self.auxiliary or component.auxiliary,
            copied=self.copied or component.copied,
            chosen=component.chosen_share or self.chosen,
        )
        if not isinstance(component, Repeat):
            return place
        return replace(
            place,
            prefix=f"{place.prefix}.{component.number_prefix}{{}}",
            ranges=(*place.ranges, component.indices),
            kinds=(*place.kinds, component.of),
        )


# A mixture inside a multi-token-prediction layer is accounted to that layer; whole parts beat parts of parts.
WHOLE = (Section.MTP, Section.VISION, Section.AUDIO, Section.PROJECTOR, Section.ADAPTER)


def dominant(outer: Section | None, inner: Section | None) -> Section | None:
    """Which of two claims holds for what is below both."""
    # The bridge is one wherever its module lies: Qwen-VL's is within the tower.
    if (outer, inner) == (Section.VISION, Section.PROJECTOR):
        return inner
    return outer if outer in WHOLE else inner or outer


def section_at(role: Role, section: Section | None) -> Section:
    """What a role is accounted to below a component that claims `section`."""
    own = section_of(role)
    # A norm stays a norm wherever it is, except within a part that is accounted as a whole.
    if section is None or (own is Section.NORM and section not in WHOLE):
        return own
    return section


def walk(component: Component, place: _Place | None = None) -> Iterator[Slot]:
    """Every stored tensor below a component, in the order of the forward pass, repeated ones once.

    A part that is repeated no times yields nothing.
    """
    here = (place or _Place()).below(component)
    if any(len(indices) == 0 for indices in here.ranges):
        return
    sizes = component.sizes()
    for item in component.stored:
        for stored in item.tensors(here.prefix, sizes):
            yield Slot(
                template=stored.name,
                ranges=here.ranges,
                kinds=here.kinds,
                stored=_copy(stored) if here.copied else stored,
                owner=component,
                section=section_at(stored.parts[0][0], here.section),
                auxiliary=here.auxiliary,
                chosen=here.chosen,
            )
    for child in component.children():
        yield from walk(child, here)


def _copy(stored: Stored) -> Stored:
    """The same where it need not lie and adds nothing to the count."""
    return replace(stored, optional=True, parts=tuple((role, 0) for role, _ in stored.parts))


def needed(component: Component, prefix: str) -> Iterator[str]:
    """The tensors that a component's forward pass is sure to read below `prefix`: a mixture's experts are not."""
    sizes = component.sizes()
    for item in component.stored:
        yield from (stored.name for stored in item.tensors(prefix, sizes) if not stored.optional)
    for child in component.children():
        if child.awaited:
            yield from needed(child, join(prefix, child.name))


C = TypeVar("C", bound=Component)


def find(component: Component, kind: type[C]) -> Iterator[C]:
    """Every component of one type, in the order of the forward pass, repeated ones once."""
    if isinstance(component, kind):
        yield component
    for child in component.children():
        yield from find(child, kind)
