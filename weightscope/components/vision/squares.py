"""Pixel shuffle before a merger: squares of neighbouring patches of square images (InternVL, arXiv 2404.16821)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightscope.components.base import Component
from weightscope.components.running import At
from weightscope.components.vision.grids import by_squares
from weightscope.components.vision.merger import PatchMerger

if TYPE_CHECKING:
    import torch


class ShuffledMerger(Component, frozen=True, kw_only=True):
    """Of images of `side` × `side` patches, squares of `merge` × `merge` through the merger."""

    side: int
    merge: int
    merger: PatchMerger

    def equation(self, x: str = "x") -> str:
        return self.merger.equation(x)

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Patches [images · side², width] row by row to [images · (side / merge)², width of the language model]."""
        images = len(x) // self.side**2
        order = by_squares([(images, self.side, self.side)], self.merge)
        merged = at.call(self.merger, x[order.to(x.device)])
        at.stage("projector", self.equation(), merged)
        return merged
