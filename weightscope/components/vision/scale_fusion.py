"""What joins maps of several sizes to one (MobileNetV5's multi-scale fusion adapter)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from weightscope.components.base import Component
from weightscope.components.norm import RMSNorm
from weightscope.components.running import At
from weightscope.components.vision.inverted_bottleneck import InvertedBottleneck

if TYPE_CHECKING:
    import torch


class ScaleFusion(Component, frozen=True, kw_only=True):
    """norm(resized(feed_forward([maps side by side]))): maps are enlarged to the first, the result is `side` × `side`.

    Places are averaged where their number divides, and interpolated where it does not.
    """

    name: str
    feed_forward: InvertedBottleneck
    norm: RMSNorm
    side: int

    def equation(self, x: str = "maps") -> str:
        side = self.side
        return f"{self.norm.word}(resized to {side} × {side}({self.feed_forward.equation(f'[{x} side by side]')}))"

    def fused(self, maps: Sequence[torch.Tensor], at: At) -> torch.Tensor:
        """Maps [images, rows, columns, channels], the largest first, to one [images, side², width]."""
        import torch

        largest = maps[0].shape[1:3]
        enlarged = [x if x.shape[1:3] == largest else _enlarged(x, largest) for x in maps]
        joined = at.call(self.feed_forward, torch.cat(enlarged, dim=-1))
        out = at.call(self.norm, self._resized(joined))
        at.stage("fusion", self.equation(), out.flatten(0, 2))
        return out.flatten(1, 2)

    def _resized(self, x: torch.Tensor) -> torch.Tensor:
        import torch

        rows, columns, side = *x.shape[1:3], self.side
        functional, channels_first = torch.nn.functional, x.movedim(-1, 1)
        if rows % side or columns % side:
            made = functional.interpolate(channels_first, size=(side, side), mode="bilinear")
        else:
            made = functional.avg_pool2d(channels_first, (rows // side, columns // side))
        return made.movedim(1, -1)


def _enlarged(x: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    import torch

    return torch.nn.functional.interpolate(x.movedim(-1, 1), size=tuple(size), mode="nearest").movedim(1, -1)
