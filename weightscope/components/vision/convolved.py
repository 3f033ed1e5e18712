"""A convolution over a map of features."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from weightscope.components.base import Component
from weightscope.components.running import At
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.kernel import Kernel

if TYPE_CHECKING:
    import torch


class Convolved(Component, frozen=True, kw_only=True):
    """A kernel of `kernel` × `kernel`, moved by `stride`; the map is padded so that a stride of 1 keeps its size."""

    name: str
    inputs: Size
    outputs: Size
    kernel: int
    stride: int = 1
    bias: bool = False

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Kernel("", Role.CONVOLUTION, bias=self.bias),)

    def sizes(self) -> Sizes:
        return {Role.CONVOLUTION: (self.outputs, self.inputs, Size(self.kernel), Size(self.kernel))}

    def equation(self, x: str = "x") -> str:
        return f"{self.name} ∗ {x}" + (" + bias" if self.bias else "")

    def terms(self) -> Mapping[Role, str]:
        step = f", each {self.stride} rows and columns" if self.stride > 1 else ""
        return {Role.CONVOLUTION: f"{self.equation()}   a kernel of {self.kernel} × {self.kernel}{step}"}

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[images, inputs, rows, columns] to [images, outputs, rows / stride, columns / stride], rounded up."""
        import torch

        weights = at.weights(self)
        kernel, bias = weights[Role.CONVOLUTION], weights.get(f"{Role.CONVOLUTION}.bias")
        return torch.nn.functional.conv2d(x, kernel, bias, stride=self.stride, padding=self.kernel // 2)
