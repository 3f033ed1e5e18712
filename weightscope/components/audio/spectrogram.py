"""Convolutions over time and frequency, which make fewer frames of a spectrogram (Gemma 3n, Gemma 4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import prod
from typing import TYPE_CHECKING

from weightscope.components.base import Component
from weightscope.components.running import At, linear
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.kernel import Kernel
from weightscope.storage.linear import Linear

if TYPE_CHECKING:
    import torch


class SpectrogramConvolution(Component, frozen=True, kw_only=True):
    """relu(norm(kernel ∗ x)), one for each `stride` of frames and of frequencies.

    `padding` is how many zeros stand before and after the frames, and before and after the frequencies.
    """

    name: str
    inputs: Size
    outputs: Size
    norm: Component
    kernel: tuple[int, int] = (3, 3)
    stride: tuple[int, int] = (2, 2)
    padding: tuple[int, int, int, int] = (1, 1, 1, 1)

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Kernel("conv", Role.CONVOLUTION),)

    def sizes(self) -> Sizes:
        return {Role.CONVOLUTION: (self.outputs, self.inputs, *map(Size, self.kernel))}

    def equation(self, x: str = "x") -> str:
        return f"relu(norm(convolution ∗ {x}))"

    def terms(self) -> Mapping[Role, str]:
        (frames, bins), (step, across) = self.kernel, self.stride
        said = f"over {frames} frames and {bins} frequencies, every {step} and every {across}"
        return {Role.CONVOLUTION: f"convolution ∗ x   {said}"}

    def frames(self, count: int) -> int:
        """How many frames it leaves of so many."""
        before, after, _, _ = self.padding
        return (count + before + after - self.kernel[0]) // self.stride[0] + 1

    def bins(self, count: int) -> int:
        """How many frequencies it leaves of so many."""
        _, _, before, after = self.padding
        return (count + before + after - self.kernel[1]) // self.stride[1] + 1

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[inputs, frames, frequencies] to [outputs, fewer frames, fewer frequencies]."""
        import torch

        functional = torch.nn.functional
        first, last, low, high = self.padding
        padded = functional.pad(x[None], (low, high, first, last))
        made = functional.conv2d(padded, at.weights(self)[Role.CONVOLUTION], stride=self.stride)[0]
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

    def equation(self, x: str = "x") -> str:
        return f"in_proj·[channels of each frequency of {x}]"

    def terms(self) -> Mapping[Role, str]:
        return {Role.IN_PROJ: self.equation()}

    @property
    def step(self) -> int:
        """One frame leaves it for so many."""
        return prod(convolution.stride[0] for convolution in self.convolutions)

    def frames(self, count: int) -> int:
        """How many frames it leaves of so many."""
        for convolution in self.convolutions:
            count = convolution.frames(count)
        return count

    def bins(self, count: int) -> int:
        """How many frequencies it leaves of so many."""
        for convolution in self.convolutions:
            count = convolution.bins(count)
        return count

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """One clip [frames, bins] to [fewer frames, width]."""
        x = x[None]
        for convolution in self.convolutions:
            x = at.call(convolution, x)
        return linear(x.permute(1, 2, 0).flatten(1), at.weights(self), Role.IN_PROJ)
