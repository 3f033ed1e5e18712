"""Pixel shuffle: squares of patches become one vector each, and pass through a bridge (Idefics 3, arXiv 2408.12637)."""

from __future__ import annotations

from math import isqrt
from typing import TYPE_CHECKING

from weightscope.components.base import Component
from weightscope.components.feed_forward.activations import WORDS, activate
from weightscope.components.norm import Norm
from weightscope.components.projection import Projection
from weightscope.components.running import At
from weightscope.roles import Section

if TYPE_CHECKING:
    import torch


def squares(x: torch.Tensor, factor: int) -> torch.Tensor:
    """Patches [n, rows, columns, D] to [n · rows · columns / factor², factor² · D]; a square's rows come in turn."""
    count, rows, columns, _ = x.shape
    split = x.reshape(count, rows // factor, factor, columns // factor, factor, -1)
    return split.transpose(2, 3).reshape(count * (rows // factor) * (columns // factor), -1)


class ShuffledBridge(Component, frozen=True, kw_only=True):
    """`inner` on squares of `factor` × `factor` patches of square crops, each of `each` patches; `norm` before it."""

    name: str
    factor: int
    each: int
    norm: Norm | None = None
    inner: Component
    section: Section | None = Section.PROJECTOR

    @property
    def even(self) -> bool:
        """Whether the squares cover a crop."""
        return isqrt(self.each) ** 2 == self.each and isqrt(self.each) % self.factor == 0

    def equation(self, x: str = "x") -> str:
        together = f"[{self.factor**2} patches of {x}]"
        return self.inner.equation(f"{self.norm.word}({together})" if self.norm else together)

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Patches [crops · each, width] to [crops · each / factor², width of the language model]."""
        side = isqrt(self.each)
        x = squares(x.reshape(-1, side, side, x.shape[-1]), self.factor)
        x = at.call(self.inner, at.call(self.norm, x) if self.norm else x)
        at.stage("projector", self.equation(), x)
        return x


class HalvedProjector(Component, frozen=True, kw_only=True):
    """What `first` puts out is halved: `second` gets the first half times the activation of the other (SwiGLU)."""

    first: Projection
    second: Projection
    activation: str

    def equation(self, x: str = "x") -> str:
        activation = WORDS.get(self.activation, self.activation)
        return self.second.equation(f"(u ⊙ {activation}(g)),  [u | g] = {self.first.equation(x)}")

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[N, inputs] to [N, outputs]."""
        up, gate = at.call(self.first, x).chunk(2, dim=-1)
        return at.call(self.second, activate(self.activation, gate) * up)
