"""One table of numbers that are learned for distances, for all layers of a group (MPNet, BEiT, Phi-4-multimodal)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from weightscope.components.attention.relative import LearnedBias
from weightscope.components.base import Component
from weightscope.roles import Role
from weightscope.sizes import Size

if TYPE_CHECKING:
    import torch

    from weightscope.components.running import At
    from weightscope.storage.base import Sizes, StorageItem


class SharedTable(Component, frozen=True, kw_only=True):
    """The table stands here; layers find it by the group that `distances` name, and may add one of their own."""

    distances: LearnedBias
    heads: Size

    @property
    def stored(self) -> Iterable[StorageItem]:
        return self.distances.stored

    def sizes(self) -> Sizes:
        return self.distances.sizes(self.heads)

    def equation(self, x: str = "") -> str:
        del x
        return str(Role.RELATIVE_POSITION)

    def terms(self) -> Mapping[Role, str]:
        return {Role.RELATIVE_POSITION: self.distances.term}

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """X as it is; the table is left for the layers."""
        self.leave(at, at)
        return x

    def leave(self, at: At, within: At) -> None:
        """Read the table at its place for the pass `within`."""
        within.run.shared[self.distances.key] = at.weights(self)[Role.RELATIVE_POSITION]
