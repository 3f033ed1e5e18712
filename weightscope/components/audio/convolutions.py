"""Convolutions over time, which make fewer frames of a spectrogram (Whisper, arXiv 2212.04356)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from weightscope.components.base import Component
from weightscope.components.feed_forward.activations import WORDS, activate
from weightscope.components.running import At
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.kernel import Kernel

if TYPE_CHECKING:
    import torch

GATED = "glu"


class TimeConvolution(Component, frozen=True, kw_only=True):
    """activation(kernel ∗ x + bias), one frame for each `stride` frames; half a kernel of zeros is on either side.

    The activation `glu` multiplies one half of the `outputs` by the sigmoid of the other, so that half of them leave.
    """

    name: str
    inputs: Size
    outputs: Size
    kernel: Size
    stride: int
    activation: str

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Kernel("", Role.CONVOLUTION, bias=True),)

    def sizes(self) -> Sizes:
        return {Role.CONVOLUTION: (self.outputs, self.inputs, self.kernel)}

    def equation(self, x: str = "x") -> str:
        return f"{WORDS.get(self.activation, self.activation)}(convolution ∗ {x} + bias)"

    def terms(self) -> Mapping[Role, str]:
        return {Role.CONVOLUTION: f"convolution ∗ x   over {int(self.kernel)} frames, every {self.stride}"}

    def frames(self, count: int) -> int:
        """How many frames it makes of so many."""
        return (count + 2 * (int(self.kernel) // 2) - int(self.kernel)) // self.stride + 1

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[clips, inputs, frames] to [clips, channels, fewer frames]."""
        import torch

        weights, functional = at.weights(self), torch.nn.functional
        kernel, bias = weights[Role.CONVOLUTION], weights[f"{Role.CONVOLUTION}.bias"]
        made = functional.conv1d(x, kernel, bias, stride=self.stride, padding=kernel.shape[-1] // 2)
        return functional.glu(made, dim=1) if self.activation == GATED else activate(self.activation, made)
