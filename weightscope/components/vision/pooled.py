"""The mean of each square of patches, normed, through one matrix (Gemma 3, arXiv 2503.19786)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from weightscope.components.base import Component
from weightscope.components.norm import Norm
from weightscope.components.running import At, linear
from weightscope.roles import Role, Section
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.linear import TurnedParameter

if TYPE_CHECKING:
    import torch


class PooledProjector(Component, frozen=True, kw_only=True):
    """`side` × `side` patches of each crop, in squares of `square` × `square`; what is left at the edges is dropped."""

    inputs: Size
    outputs: Size
    norm: Norm
    side: int
    square: int
    section: Section | None = Section.PROJECTOR

    @property
    def each(self) -> int:
        """Vectors of one crop."""
        return (self.side // self.square) ** 2

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (TurnedParameter("mm_input_projection", Role.PROJECTOR),)

    def sizes(self) -> Sizes:
        return {Role.PROJECTOR: (self.outputs, self.inputs)}

    def equation(self, x: str = "x") -> str:
        return f"projector·{self.norm.word}(mean of {self.square} × {self.square} patches of {x})"

    def terms(self) -> Mapping[Role, str]:
        return {Role.PROJECTOR: self.equation()}

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Patches [crops · side², inputs] to [crops · each, outputs]."""
        import torch

        squares = x.unflatten(0, (-1, self.side, self.side)).movedim(-1, 1)  # type: ignore[no-untyped-call]
        pooled = torch.nn.functional.avg_pool2d(squares, self.square).flatten(2).transpose(1, 2).flatten(0, 1)
        out = linear(at.call(self.norm, pooled), at.weights(self), Role.PROJECTOR)
        at.stage("projector", self.equation(), out)
        return out
