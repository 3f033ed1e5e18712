"""Convolutions that keep the size of a map, or divide it by their stride and round up ("same" padding)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from weightscope.components.base import Component
from weightscope.components.feed_forward.activations import WORDS, activate
from weightscope.components.norm import RMSNorm
from weightscope.components.running import At
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.kernel import Kernel

if TYPE_CHECKING:
    import torch


class SameConvolution(Component, frozen=True, kw_only=True):
    """A kernel of `kernel` × `kernel`, moved by `stride`.

    Each output is made of so many `inputs`: of all channels, or of 1, where each channel is convolved by itself.
    `channels_last` says how a kernel is stored whose shape does not tell it.
    """

    name: str
    role: Role
    inputs: Size
    outputs: Size
    kernel: int = 1
    stride: int = 1
    bias: bool = False
    channels_last: bool | None = None

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Kernel("", self.role, bias=self.bias, last=self.channels_last),)

    def sizes(self) -> Sizes:
        return {self.role: (self.outputs, self.inputs, Size(self.kernel), Size(self.kernel))}

    def equation(self, x: str = "x") -> str:
        return f"{self.role} ∗ {x}" + (" + bias" if self.bias else "")

    def terms(self) -> Mapping[Role, str]:
        if self.kernel == 1:
            return {self.role: f"{self.equation()}   at each place"}
        apart = ", each channel by itself" if self.inputs == 1 else ""
        step = f", each {self.stride} rows and columns" if self.stride > 1 else ""
        return {self.role: f"{self.equation()}   {self.kernel} × {self.kernel} places{apart}{step}"}

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[images, rows, columns, channels] to [images, rows / stride, columns / stride, outputs], rounded up."""
        import torch

        weights = at.weights(self)
        above, below = self._padding(x.shape[1])
        left, right = self._padding(x.shape[2])
        made = torch.nn.functional.conv2d(
            torch.nn.functional.pad(x, (0, 0, left, right, above, below)).movedim(-1, 1),
            weights[self.role],
            weights.get(f"{self.role}.bias"),
            stride=self.stride,
            groups=x.shape[-1] // int(self.inputs),
        )
        return made.movedim(1, -1)

    def _padding(self, size: int) -> tuple[int, int]:
        """The zeros before and after so many rows or columns; an odd one stands after them."""
        whole = max((-(-size // self.stride) - 1) * self.stride + self.kernel - size, 0)
        return whole // 2, whole - whole // 2


class NormedConvolution(Component, frozen=True, kw_only=True):
    """activation(norm(convolution ∗ x)); an empty `activation` is none."""

    convolution: SameConvolution
    norm: RMSNorm
    activation: str = ""

    def equation(self, x: str = "x") -> str:
        normed = f"{self.norm.word}({self.convolution.equation(x)})"
        return f"{WORDS.get(self.activation, self.activation)}({normed})" if self.activation else normed

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[images, rows, columns, channels] to what the convolution makes of it, normed."""
        normed = at.call(self.norm, at.call(self.convolution, x))
        return activate(self.activation, normed) if self.activation else normed


class CentredConvolution(SameConvolution, frozen=True, kw_only=True):
    """The same with as many zeros before as after, as PyTorch pads: with a stride the kernel stands elsewhere."""

    def _padding(self, size: int) -> tuple[int, int]:
        del size
        return self.kernel // 2, self.kernel // 2
