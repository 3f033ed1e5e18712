"""MobileNet's blocks of convolutions: to more channels and back (arXiv 1801.04381, arXiv 2404.10518)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightscope.components.base import Component
from weightscope.components.layer_scale import LayerScale
from weightscope.components.running import At
from weightscope.components.vision.same_convolution import NormedConvolution

if TYPE_CHECKING:
    import torch


class InvertedBottleneck(Component, frozen=True, kw_only=True):
    """Convolutions one after another, times `scale`; a `residual` one is added to x."""

    convolutions: tuple[NormedConvolution, ...]
    scale: LayerScale | None
    residual: bool

    def equation(self, x: str = "x") -> str:
        made = x
        for convolution in self.convolutions:
            made = convolution.equation(made)
        made = self.scale.equation(made) if self.scale else made
        return f"{x} + {made}" if self.residual else made

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[images, rows, columns, channels] to a map of as many places or, with a stride, of fewer."""
        made = x
        for convolution in self.convolutions:
            made = at.call(convolution, made)
        made = at.call(self.scale, made) if self.scale else made
        out = x + made if self.residual else made
        at.stage("convolutions", self.equation(), out.flatten(0, 2))
        return out
