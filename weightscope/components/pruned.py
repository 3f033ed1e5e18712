"""What a search over a trained model leaves of a layer: one matrix in the place of a half, or nothing at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

from weightscope.components.base import Component
from weightscope.components.running import At, linear
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.linear import Linear

if TYPE_CHECKING:
    import torch

    from weightscope.components.state import State


class OneMatrix(Component, frozen=True, kw_only=True):
    """W·x, as wide as x, in the place of attention or of a feed-forward (Nemotron-51B, arXiv 2411.19146)."""

    width: Size
    role: Role
    word: ClassVar[str] = "linear replacement"

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Linear("", self.role),)

    def sizes(self) -> Sizes:
        return {self.role: (self.width, self.width)}

    def equation(self, x: str = "x") -> str:
        return f"{self.role}·{x}"

    def terms(self) -> Mapping[Role, str]:
        return {self.role: self.equation()}

    def keeps(self) -> tuple[State, ...]:
        """Nothing: it sees one token at a time."""
        return ()

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[T, width] to [T, width]."""
        return linear(x, at.weights(self), self.role)


class Unchanged(Component, frozen=True, kw_only=True):
    """x itself: a layer of which nothing is left but its number."""

    word: ClassVar[str] = "layer"

    def equation(self, x: str = "x") -> str:
        return x

    def keeps(self) -> tuple[State, ...]:
        """Nothing."""
        return ()

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[T, D] to [T, D]."""
        del at
        return x
