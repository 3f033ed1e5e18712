"""Several layers as one: what ALBERT stores once and goes through again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightscope.components.base import Component, Repeat
from weightscope.components.running import At

if TYPE_CHECKING:
    import torch


class LayerGroup(Component, frozen=True, kw_only=True):
    """Layers one after another."""

    layers: Repeat

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[T, D] to [T, D]."""
        for number in self.layers.indices:
            x = self.layers.child.forward(x, at.below(self.layers, number))
        return x
