"""Squares of patches through a matrix, then a projector (Mistral Small 3.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightscope.components.base import Component
from weightscope.components.norm import Norm
from weightscope.components.projection import Projection
from weightscope.components.running import At
from weightscope.components.vision.projector import Projector
from weightscope.roles import Section

if TYPE_CHECKING:
    import torch


class MergingProjector(Component, frozen=True, kw_only=True):
    """The norm acts on each patch; `merging` takes `square` of them, element by element of the tower's width."""

    norm: Norm
    merging: Projection
    projector: Projector
    square: int
    section: Section | None = Section.PROJECTOR

    def equation(self, x: str = "x") -> str:
        return self.projector.equation(self.merging.equation(f"[{self.square} patches of {self.norm.word}({x})]"))

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Patches [N, width] to [N / square, width of the language model]."""
        together = at.call(self.norm, x).unflatten(0, (-1, self.square))  # type: ignore[no-untyped-call]
        merged = at.call(self.merging, together.transpose(1, 2).flatten(1))
        at.stage("merger", self.merging.equation(f"[{self.square} patches of {self.norm.word}(x)]"), merged)
        return at.call(self.projector, merged)
