"""What is added to a speech encoder when it is tuned for other languages or fewer frames (wav2vec 2.0)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

from weightscope.components.base import Component, Repeat
from weightscope.components.norm import LayerNorm
from weightscope.components.projection import Projection
from weightscope.components.running import At, linear
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.kernel import Kernel
from weightscope.storage.linear import Linear

if TYPE_CHECKING:
    import torch


class LanguageAdapter(Component, frozen=True, kw_only=True):
    """x + down·relu(up·norm(x)), at the end of a layer: two matrices for each language (MMS, arXiv 2305.13516)."""

    name: str
    width: Size
    inner: Size
    norm: LayerNorm
    word: ClassVar[str] = "adapter"

    @property
    def stored(self) -> Iterable[StorageItem]:
        return Linear("linear_1", Role.UP_PROJ, bias=True), Linear("linear_2", Role.DOWN_PROJ, bias=True)

    def sizes(self) -> Sizes:
        return {Role.UP_PROJ: (self.inner, self.width), Role.DOWN_PROJ: (self.width, self.inner)}

    def equation(self, x: str = "x") -> str:
        return f"{x} + down_proj·relu(up_proj·{self.norm.word}({x}))"

    def terms(self) -> Mapping[Role, str]:
        return {Role.UP_PROJ: "u = relu(up_proj·x + bias)", Role.DOWN_PROJ: "x + down_proj·u + bias"}

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[T, D] to the same."""
        weights = at.weights(self)
        inner = linear(at.call(self.norm, x), weights, Role.UP_PROJ).relu()
        return x + linear(inner, weights, Role.DOWN_PROJ)


class GatedConvolution(Component, frozen=True, kw_only=True):
    """a ⊙ sigmoid(b) of the two halves of a convolution over frames, which leaves fewer of them."""

    width: Size
    kernel: Size
    stride: Size

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Kernel("conv", Role.CONVOLUTION, bias=True, last=False),)

    def sizes(self) -> Sizes:
        return {Role.CONVOLUTION: (self.width * 2, self.width, self.kernel)}

    def equation(self, x: str = "x") -> str:
        return f"a ⊙ sigmoid(b),  [a | b] = convolution ∗ {x} + bias"

    def terms(self) -> Mapping[Role, str]:
        return {Role.CONVOLUTION: f"{self.equation()}   in steps of {self.stride:,}"}

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[B, D, F] to [B, D, fewer]."""
        import torch

        weights = at.weights(self)
        kernel, bias = weights[Role.CONVOLUTION], weights[f"{Role.CONVOLUTION}.bias"]
        both = torch.nn.functional.conv1d(x, kernel, bias, stride=int(self.stride), padding=1)
        return torch.nn.functional.glu(both, dim=1)


class FrameAdapter(Component, frozen=True, kw_only=True):
    """Convolutions after the last layer; `project` and `norm` bring another width first."""

    name: str
    project: Projection | None
    norm: LayerNorm | None
    layers: Repeat

    def equation(self, x: str = "x") -> str:
        return self.layers.child.equation(x)

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[B, F, D] to [B, fewer, width]."""
        x = at.call(self.project, x) if self.project else x
        x = at.call(self.norm, x) if self.norm else x
        x = x.transpose(1, 2)
        for number in self.layers.indices:
            x = self.layers.child.forward(x, at.below(self.layers, number))
        return x.transpose(1, 2)
