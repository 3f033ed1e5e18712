"""Mixture of experts (Shazeer et al. 2017): a router chooses a few feed-forward layers for each token."""

from __future__ import annotations

from collections.abc import Iterable

from weightscope.components.base import Component, Repeat
from weightscope.components.mlp import GatedMLP
from weightscope.roles import Role, Section
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.linear import Linear
from weightscope.storage.plain import Buffer


class MixtureOfExperts(Component, frozen=True, kw_only=True):
    """Σ weight · expert(x) over the `chosen` of `experts` that the router `gate` scores highest, plus `shared`.

    `correction` is a buffer of one number an expert that shifts the choice but not the weights (DeepSeek-V3's
    auxiliary-loss-free balancing).
    """

    name: str
    width: Size
    experts: Size
    chosen: Size
    expert: GatedMLP
    shared: GatedMLP | None = None
    correction: str | None = None
    section: Section | None = Section.MOE

    @property
    def stored(self) -> Iterable[StorageItem]:
        """The router, and its correction."""
        yield Linear("gate", Role.ROUTER)
        if self.correction:
            yield Buffer(self.correction, Role.ROUTER_BIAS, (self.experts,), optional=False)

    def sizes(self) -> Sizes:
        """(experts, width)."""
        return {Role.ROUTER: (self.experts, self.width)}

    def children(self) -> Iterable[Component]:
        """The routed experts, then what every token passes through."""
        yield Repeat(
            name="experts", indices=range(self.experts), child=self.expert, of="expert", chosen=int(self.chosen)
        )
        if self.shared:
            yield self.shared
