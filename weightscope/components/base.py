"""What every component shares, and the components that only hold others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import msgspec

from weightscope.brief import brief
from weightscope.components.running import At
from weightscope.errors import NotImplementedByWeightscope
from weightscope.roles import Role, Section
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem

if TYPE_CHECKING:
    import torch

    from weightscope.components.live import Live, Widths
    from weightscope.components.state import State
    from weightscope.components.step import Moment, Step
    from weightscope.components.work import Work

Indices = Sequence[int]


class Conflict(msgspec.Struct, frozen=True):
    """Two sizes that contradict each other: what is wrong, and the config keys they came from."""

    what: str
    keys: tuple[str, ...]


class Component(msgspec.Struct, frozen=True, kw_only=True):
    """A node of the declaration: what it stores, what is below it, and its place in the breakdown.

    `name` is its module path below its parent. `section` claims everything below for one component of the breakdown;
    `auxiliary` marks parts that the main model runs without.
    """

    name: str = ""
    section: Section | None = None
    auxiliary: bool = False

    __repr__ = brief

    @property
    def stored(self) -> Iterable[StorageItem]:
        """Where this component's own roles lie."""
        return ()

    def sizes(self) -> Sizes:
        """Logical shape of each role stored here; a matrix is (out, in)."""
        return {}

    def children(self) -> Iterable[Component]:
        """The components below, in the order of the forward pass: those that its fields hold, in their order."""
        for field in self.__struct_fields__:
            held = getattr(self, field)
            for part in held if isinstance(held, tuple) else (held,):
                if isinstance(part, Component):
                    yield part

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """The component's maths on x, its weights read at its place.

        Raises:
            NotImplementedByWeightscope: this component only knows its sizes.
        """
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
    def glance(self) -> str:
        """What one line about the whole model says of this component; empty for nothing."""
        return ""

    def token_layers(self) -> Layers | None:
        """The layers that one line about the whole model counts; None for all but the stacks that read tokens."""
        return None

    def notes(self, roles: Iterable[Role]) -> Iterable[str]:
        """Sentences about the weights of these roles that neither equation nor terms tell."""
        return ()

    def conflicts(self) -> Iterable[Conflict]:
        """Sizes that no such component can have together."""
        return ()

    def added_to(self, role: Role) -> float:
        """What is added to a role's stored weights before they multiply: 1 for Gemma's norms."""
        return 0.0

    def turned(self, role: Role) -> int:
        """Of the rows of each head of a role: how many turn by their position, in pairs of halves; 0 for none."""
        return 0

    def turned_in_neighbours(self, role: Role) -> int:
        """The same of rows that turn in pairs of neighbours."""
        return 0

    def heads_of(self, role: Role) -> int:
        """How many heads, of equal size, a role's matrix has along its outputs (`o_proj`: its inputs); 0 for none."""
        return 0

    def keeps(self) -> tuple[State, ...] | None:
        """What it keeps of a sequence between decode steps, less what its children keep; None where it says nothing.

        A layer in which no component says anything has a decode state that is not declared.
        """
        return None

    def mixes(self) -> tuple[Work, ...]:
        """What one more token costs here beside the products with weights, less what it costs in children."""
        return ()

    def live(self, widths: Widths) -> tuple[Live, ...]:
        """The moments of a pass at which most lives here, children included; none where that is little.

        Beside it live the token's embedding, what entered the layer, and the same normed.
        """
        del widths
        return ()

    def saves(self, step: Step) -> int | None:
        """How many elements of a token a training step keeps for the backward pass, children included.

        None where that is not known: a component with weights has to say it itself.
        """
        if any(True for _ in self.stored):
            return None
        return total(child.saves(reached) for child, reached in self.reached_children(step))

    def reached_children(self, step: Step) -> Iterator[tuple[Component, Step]]:
        """Each child with the step as it reaches it, one after the other, in the order of the forward pass."""
        for child in self.children():
            yield child, step
            step = step.past(child)

    def saves_input(self, step: Step) -> int:
        """How many elements of what `saves` counts are the input itself, not a copy.

        Siblings that read the same input keep it once.
        """
        del step
        return 0

    def backward(self, step: Step) -> tuple[Moment, ...]:
        """The moments of the backward pass through it at which most lives; none where that is little."""
        del step
        return ()

    @property
    def norms_after(self) -> bool:
        """Whether a layer takes what enters it as it is, and norms what its halves give."""
        return False

    @property
    def sees_later(self) -> bool:
        """Whether a token sees later ones: a model of such layers reads, and does not write."""
        return False

    @property
    def chosen_share(self) -> tuple[int, int] | None:
        """The share (k, n) of all below that one token uses, where that is not all."""
        return None

    @property
    def number_prefix(self) -> str:
        """What stands right before the number of a repeated one."""
        return ""

    @property
    def copied(self) -> bool:
        """Whether another place stores all that is below: it need not be stored here, and is not counted here."""
        return False

    @property
    def awaited(self) -> bool:
        """Whether a pass through the parent is sure to read these weights, whole, and may do so ahead."""
        return True


def total(counts: Iterable[int | None]) -> int | None:
    """The sum; None where one of them is not known."""
    found = list(counts)
    return None if None in found else sum(filter(None, found))


class Layers(msgspec.Struct, frozen=True):
    """The layers that tokens pass, of width [width]; `half` is which half of an encoder-decoder they are."""

    depth: int
    width: Size
    vocabulary: Size
    blocks: tuple[Repeat, ...]
    half: str = ""


class Repeat(Component, frozen=True, kw_only=True):
    """The same component under consecutive numbers: layers, experts, other parts.

    `chosen` is how many of them one token uses where that is not all (a mixture's routed experts). `number_prefix`
    stands right before each number (NLLB's `expert_0`).
    """

    name: str
    indices: Indices
    child: Component
    of: Literal["layer", "expert", "part"] = "layer"
    chosen: int | None = None
    number_prefix: str = ""

    @property
    def chosen_share(self) -> tuple[int, int] | None:
        """`chosen` of as many as there are."""
        return None if self.chosen is None else (self.chosen, len(self.indices))

    def saves(self, step: Step) -> int | None:
        """What all of them keep."""
        each = self.child.saves(step)
        return None if each is None else each * len(self.indices)

    @property
    def awaited(self) -> bool:
        """Layers are read one by one, experts when they are wanted."""
        return False


class Group(Component, frozen=True, kw_only=True, dict=True):
    """Components side by side under one name; `Group(name="language_model", parts=(model,))` moves a declaration."""

    parts: tuple[Component, ...]
