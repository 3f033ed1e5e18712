"""What every component shares, and the one walk over a declaration's tensors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Literal, TypeVar

import msgspec
from msgspec.structs import replace

from weightscope.components.running import At
from weightscope.errors import NotImplementedByWeightscope
from weightscope.ranges import expand
from weightscope.roles import Role, Section, section_of
from weightscope.storage.base import Sizes, StorageItem, Stored, join

if TYPE_CHECKING:
    import torch

Indices = Sequence[int]


class Component(msgspec.Struct, frozen=True, kw_only=True):
    """A node of the declaration: what it stores, what is below it, and its place in the breakdown.

    `name` is its module path below its parent. `section` claims everything below for one component of the breakdown;
    `auxiliary` marks parts that the main model runs without.
    """

    name: str = ""
    section: Section | None = None
    auxiliary: bool = False

    @property
    def stored(self) -> Iterable[StorageItem]:
        """Where this component's own roles lie."""
        return ()

    def sizes(self) -> Sizes:
        """Logical shape of each role stored here; a matrix is (out, in)."""
        return {}

    def children(self) -> Iterable[Component]:
        """The components below, in the order of the forward pass."""
        return ()

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """The component's maths on x, its weights read at its place.

        Raises:
            NotImplementedByWeightscope: this component only knows its sizes.
        """
        del x
        raise NotImplementedByWeightscope(
            f"the forward pass of {type(self).__name__} is not implemented", where=at.prefix
        )

    def equation(self, x: str = "x") -> str:
        """What `forward` computes of x, as a line of maths with each role's matrix under the role's name."""
        return f"{type(self).__name__}({x})"

    @property
    def word(self) -> str:
        """What a stage of this component is called."""
        return type(self).__name__

    def terms(self) -> Mapping[Role, str]:
        """For each role stored here, the term of the equation that it makes."""
        return {}

    @property
    def chosen_share(self) -> tuple[int, int] | None:
        """The share (k, n) of all below that one token uses, where that is not all."""
        return None

    @property
    def awaited(self) -> bool:
        """Whether a pass through the parent is sure to read these weights, whole, and may do so ahead."""
        return True


class Repeat(Component, frozen=True, kw_only=True):
    """The same component under consecutive numbers: layers, experts, other parts.

    `chosen` is how many of them one token uses where that is not all (a mixture's routed experts).
    """

    name: str
    indices: Indices
    child: Component
    of: Literal["layer", "expert", "part"] = "layer"
    chosen: int | None = None

    def children(self) -> Iterable[Component]:
        """The one repeated component."""
        return (self.child,)

    @property
    def chosen_share(self) -> tuple[int, int] | None:
        """`chosen` of as many as there are."""
        return None if self.chosen is None else (self.chosen, len(self.indices))

    @property
    def awaited(self) -> bool:
        """Layers are read one by one, experts when they are wanted."""
        return False


class Group(Component, frozen=True, kw_only=True, dict=True):
    """Components side by side under one name; `Group(name="language_model", parts=(model,))` moves a declaration."""

    parts: tuple[Component, ...]

    def children(self) -> Iterable[Component]:
        """The parts, in the order of the forward pass."""
        return self.parts


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


class _Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where the walk is: what the ancestors said of everything below them."""

    prefix: str = ""
    ranges: tuple[Indices, ...] = ()
    kinds: tuple[str, ...] = ()
    section: Section | None = None
    auxiliary: bool = False
    chosen: tuple[int, int] = (1, 1)

    def below(self, component: Component) -> _Place:
        place = replace(
            self,
            prefix=join(self.prefix, component.name),
            section=_dominant(self.section, component.section),
            auxiliary=self.auxiliary or component.auxiliary,
            chosen=component.chosen_share or self.chosen,
        )
        if not isinstance(component, Repeat):
            return place
        return replace(
            place,
            prefix=f"{place.prefix}.{{}}",
            ranges=(*place.ranges, component.indices),
            kinds=(*place.kinds, component.of),
        )


# A mixture inside a multi-token-prediction layer is accounted to that layer; whole parts beat parts of parts.
_WHOLE = (Section.MTP, Section.VISION, Section.PROJECTOR, Section.ADAPTER)


def _dominant(outer: Section | None, inner: Section | None) -> Section | None:
    return outer if outer in _WHOLE else inner or outer


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
                stored=stored,
                owner=component,
                section=_section(stored, here),
                auxiliary=here.auxiliary,
                chosen=here.chosen,
            )
    for child in component.children():
        yield from walk(child, here)


def _section(stored: Stored, here: _Place) -> Section:
    own = section_of(stored.parts[0][0])
    # A norm stays a norm wherever it is, except within a part that is accounted as a whole.
    if here.section is None or (own is Section.NORM and here.section not in _WHOLE):
        return own
    return here.section


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
