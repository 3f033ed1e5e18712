"""A norm without weights, then one matrix to the language model's width (Gemma 3n, Gemma 4)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from weightscope.components.base import Component
from weightscope.components.norm import RMSNorm
from weightscope.components.projection import Projection
from weightscope.components.running import At
from weightscope.roles import Role, Section
from weightscope.sizes import Size

if TYPE_CHECKING:
    import torch


class NormedProjector(Component, frozen=True, kw_only=True):
    """matrix·(x / rms(x))."""

    name: str
    inputs: Size
    outputs: Size
    eps: float
    section: Section | None = Section.PROJECTOR

    @property
    def matrix(self) -> Projection:
        """To the language model's width."""
        return Projection(name="embedding_projection", inputs=self.inputs, outputs=self.outputs, bias=False)

    @property
    def norm(self) -> RMSNorm:
        """Only scales."""
        return RMSNorm(
            name="embedding_pre_projection_norm",
            role=Role.PROJECTOR_NORM,
            size=self.inputs,
            eps=self.eps,
            weighted=False,
        )

    def children(self) -> Iterable[Component]:
        return self.norm, self.matrix

    def equation(self, x: str = "x") -> str:
        return self.matrix.equation(f"({self.norm.equation(x)})")

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[N, inputs] to [N, outputs]."""
        out = at.call(self.matrix, at.call(self.norm, x))
        at.stage("projector", self.equation(), out)
        return out
