"""Convolutions over time and frequency, which make a quarter of the frames of a spectrogram (Gemma 4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from weightscope.components.base import Component
from weightscope.components.norm import Norm
from weightscope.components.running import At, linear
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.kernel import Kernel
from weightscope.storage.linear import Linear

if TYPE_CHECKING:
    import torch


class SpectrogramConvolution(Component, frozen=True, kw_only=True):
    """relu(norm(kernel ∗ x)) with a kernel of 3 × 3, at every second frame and frequency."""

    name: str
    inputs: Size
    outputs: Size
    norm: Norm

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Kernel("conv", Role.CONVOLUTION),)

    def sizes(self) -> Sizes:
        return {Role.CONVOLUTION: (self.outputs, self.inputs, Size(3), Size(3))}

    def children(self) -> Iterable[Component]:
        return (self.norm,)

    def equation(self, x: str = "x") -> str:
        return f"relu({self.norm.word}(convolution ∗ {x}))"

    def terms(self) -> Mapping[Role, str]:
        return {Role.CONVOLUTION: "convolution ∗ x   over 3 frames and 3 frequencies, every second of each"}

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[inputs, frames, frequencies] to [outputs, half the frames, half the frequencies]."""
        import torch

        kernel = at.weights(self)[Role.CONVOLUTION]
        made = torch.nn.functional.conv2d(x[None], kernel, stride=2, padding=1)[0]
        return at.call(self.norm, made.permute(1, 2, 0)).relu().permute(2, 0, 1)


class SpectrogramStem(Component, frozen=True, kw_only=True):
    """The convolutions, then one matrix on all channels of all frequencies of a frame."""

    name: str
    convolutions: tuple[SpectrogramConvolution, ...]
    frequencies: Size
    width: Size

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Linear("input_proj_linear", Role.IN_PROJ),)

    def sizes(self) -> Sizes:
        return {Role.IN_PROJ: (self.width, self.frequencies * self.convolutions[-1].outputs)}

    def children(self) -> Iterable[Component]:
        return self.convolutions

    def equation(self, x: str = "x") -> str:
        return f"in_proj·[channels of each frequency of {x}]"

    def terms(self) -> Mapping[Role, str]:
        return {Role.IN_PROJ: self.equation()}

    def halved(self, count: int) -> int:
        """What is left of so many frames, or frequencies."""
        for _ in self.convolutions:
            count = (count + 1) // 2
        return count

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """One clip [frames, bins] to [fewer frames, width]."""
        x = x[None]
        for convolution in self.convolutions:
            x = at.call(convolution, x)
        return linear(x.permute(1, 2, 0).flatten(1), at.weights(self), Role.IN_PROJ)
