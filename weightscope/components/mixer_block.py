"""Layers that are not the usual two halves: a single mixer, or several side by side."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from weightscope.components.base import Component
from weightscope.components.norm import Norm
from weightscope.components.running import At

if TYPE_CHECKING:
    import torch


class MixerBlock(Component, frozen=True, kw_only=True):
    """x + mixer(norm(x)), and nothing else (Mamba)."""

    norm: Norm
    mixer: Component

    def children(self) -> Iterable[Component]:
        """In the order of the forward pass."""
        return self.norm, self.mixer

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[T, D] to [T, D]."""
        out = x + at.call(self.mixer, at.call(self.norm, x))
        at.stage(self.mixer.word, f"x + {self.mixer.equation('n')},  n = {self.norm.word}(x)", out)
        return out
