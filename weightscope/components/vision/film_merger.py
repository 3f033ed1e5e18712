"""Squares of patches become vectors, then those of two frames one (ERNIE 4.5 VL, Baidu 2025).

Source: `Ernie4_5_VLMoeVariableResolutionResamplerModel` of transformers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightscope.components.base import Component
from weightscope.components.feed_forward.activations import activate
from weightscope.components.norm import Norm
from weightscope.components.projection import Projection
from weightscope.components.running import At
from weightscope.roles import Section

if TYPE_CHECKING:
    import torch


class NormedPair(Component, frozen=True, kw_only=True):
    """norm(second·gelu(first·x))."""

    first: Projection
    second: Projection
    norm: Norm

    def equation(self, x: str = "x") -> str:
        return f"{self.norm.word}({self.second.equation(f'gelu({self.first.equation(x)})')})"

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[N, inputs] to [N, outputs]."""
        return at.call(self.norm, at.call(self.second, activate("gelu", at.call(self.first, x))))


class FilmMerger(Component, frozen=True, kw_only=True):
    """`space` acts on `square` patches side by side, `time` on what it makes of two frames; an image is both frames."""

    name: str
    space: NormedPair
    time: NormedPair
    out: Projection
    norm: Norm
    square: int
    section: Section | None = Section.PROJECTOR

    def equation(self, x: str = "x") -> str:
        made = self.space.equation(f"[{self.square} patches of {x}]")
        return f"{self.norm.word}({self.out.equation(self.time.equation('[s | s]'))}),  s = {made}"

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Patches [N, width], square by square, to [N / square, width of the language model]."""
        import torch

        made = at.call(self.space, x.reshape(len(x) // self.square, -1))
        both = at.call(self.time, torch.cat((made, made), dim=-1))
        return at.call(self.norm, at.call(self.out, both))
