"""Neighbouring patches side by side, then two matrices to the language model's width (Qwen2-VL, arXiv 2409.12191)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightscope.components.base import Component
from weightscope.components.feed_forward.activations import WORDS, activate
from weightscope.components.norm import Norm
from weightscope.components.projection import Projection
from weightscope.components.running import At
from weightscope.components.vision.projector import Projector
from weightscope.roles import Section

if TYPE_CHECKING:
    import torch


class PatchMerger(Component, frozen=True, kw_only=True):
    """`first` and `second` with `activation` between, on `square` patches side by side.

    The norm, if any, acts on each patch before they are put together, or with `norms_squares` on all of them after.
    """

    norm: Norm | None
    first: Projection
    second: Projection
    activation: str
    square: int
    norms_squares: bool = False
    section: Section | None = Section.PROJECTOR

    def equation(self, x: str = "x") -> str:
        before = "norm({})" if self.norm else "{}"
        if self.norms_squares:
            together = before.format(f"[{self.square} patches of {x}]")
        else:
            together = f"[{self.square} patches of {before.format(x)}]"
        return self.second.equation(f"{WORDS.get(self.activation, self.activation)}({self.first.equation(together)})")

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Patches [N, width] to [N / square, width of the language model]."""
        if self.norms_squares or not self.norm:
            together = x.reshape(len(x) // self.square, -1)
            together = at.call(self.norm, together) if self.norm else together
        else:
            together = at.call(self.norm, x).reshape(len(x) // self.square, -1)
        return at.call(self.second, activate(self.activation, at.call(self.first, together)))


class ProjectedMerger(Component, frozen=True, kw_only=True):
    """`projector` on each patch, then `squares` on those that lie side by side (MiniMax-M3)."""

    projector: Projector
    squares: PatchMerger

    def equation(self, x: str = "x") -> str:
        return self.squares.equation(self.projector.equation(x))

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Patches [N, width] to [N / square, width of the language model]."""
        return at.call(self.squares, at.call(self.projector, x))
