"""What a training step trains of a layer, and at which moments of its backward pass most lives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from weightscope.components.base import Component
from weightscope.components.live import Widths
from weightscope.components.walk import find

if TYPE_CHECKING:
    from weightscope.roles import Role


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """A moment of the backward pass through a component, beside all that the pass kept up to its end.

    `elements` of a token are gradients, less what was kept and is not needed any more; `weight` are those of the
    gradient of a matrix, which is made before it is added to the others.
    """

    elements: int
    weight: int = 0


# A component, and the role of one of its weights.
Weight = tuple[Component, "Role"]


class Learned(msgspec.Struct, frozen=True, kw_only=True):
    """The weights of a layer that are trained, and the ranks of the adapters beside others.

    `whole` says that all weights are trained, and none has an adapter.
    """

    weights: frozenset[Weight] = frozenset()
    ranks: Mapping[Weight, int] = {}
    whole: bool = False


ALL, NOTHING = Learned(whole=True), Learned()


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """How a training step goes through a component.

    Attributes:
        widths: what elements take of the computation's.
        learned: what is trained of the layer that the component is in.
        flows: whether the gradient of what enters is needed, because something before it is trained.
        adapter: how many elements of the computation's type one of an adapter takes.
        quantized: matrices that are not trained are quantized, and made plain one at a time.
        shared_first: the shared experts of a mixture compute before the others.
        seen: how many tokens each token sees, where scores are kept.
    """

    widths: Widths
    learned: Learned = ALL
    flows: bool = True
    adapter: int = 1
    quantized: bool = False
    shared_first: bool = False
    seen: int = 0

    def trains(self, component: Component, *roles: Role) -> bool:
        """Whether the weight of one of these roles is trained itself."""
        return self.learned.whole or any((component, role) in self.learned.weights for role in roles)

    def rank(self, component: Component, roles: Iterable[Role]) -> int:
        """The rank of the adapter beside the matrix of these roles; 0 for none."""
        return max((self.learned.ranks.get((component, role), 0) for role in roles), default=0)

    def leaves(self, component: Component, *roles: Role) -> bool:
        """Whether the gradient of what these matrices put out is needed."""
        return self.flows or self.trains(component, *roles) or self.rank(component, roles) > 0

    def reaches(self, component: Component) -> bool:
        """Whether a weight of the component or of its children is trained or has an adapter."""
        if self.learned.whole:
            return True
        owners = {owner for owner, _ in (*self.learned.weights, *self.learned.ranks)}
        return bool(owners) and any(part in owners for part in find(component, Component))

    def past(self, component: Component) -> Step:
        """The step as it leaves a component: the gradient flows if something in it is trained."""
        return self if self.flows or not self.reaches(component) else replace(self, flows=True)

    def input_of(self, component: Component, *roles: Role) -> int:
        """Elements that are kept of what enters these matrices as it is, once for all of them."""
        sizes = component.sizes()
        return max(
            (int(sizes[held[0]][1]) for held in _held(component, roles) if self._keeps_input(component, held)),
            default=0,
        )

    def kept_before(self, component: Component, *roles: Role) -> int:
        """Elements that these matrices and the adapters beside them keep of what enters."""
        return self.input_of(component, *roles) + self.adapting(component, *roles)

    def adapting(self, component: Component, *roles: Role) -> int:
        """Elements that adapters beside these matrices keep: their input in their own type, and what A puts out."""
        sizes, kept = component.sizes(), 0
        for held in _held(component, roles):
            if rank := self.rank(component, held):
                kept += self.adapter * rank + (self.adapter * int(sizes[held[0]][1]) if self.adapter > 1 else 0)
        return kept

    def adding(self, size: int) -> int:
        """Elements while an adapter's answer is added to what a matrix put out, of `size` elements.

        They are both and their sum; where the adapter has another type, both in it, too.
        """
        return size * (3 if self.adapter == 1 else 1 + 3 * self.adapter)

    def made(self, component: Component, role: Role, elements: int) -> int:
        """Elements of a matrix that are made in the backward pass: its gradient, or the same without quantization."""
        return elements if self.quantized or self.trains(component, role) else 0

    def _keeps_input(self, component: Component, held: tuple[Role, ...]) -> bool:
        return self.trains(component, *held) or (self.adapter == 1 and self.rank(component, held) > 0)


def _held(component: Component, roles: Iterable[Role]) -> Iterable[tuple[Role, ...]]:
    """The roles that each of the component's matrices holds, of those that have one of these."""
    wanted = set(roles)
    return [item.roles for item in component.stored if wanted & set(item.roles)]
