"""From samples of sound to feature vectors: convolutions one after another (wav2vec, arXiv 1904.05862).

Shapes: B clips, S samples, C channels, F frames.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from weightscope.components.base import Component, Repeat
from weightscope.components.feed_forward.activations import WORDS, activate
from weightscope.components.norm import LayerNorm
from weightscope.components.running import At
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.kernel import Kernel
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch


class ChannelNorm(Component, frozen=True, kw_only=True):
    """(x - mean) / std · w + b, each channel over all its frames: a group norm of as many groups as channels."""

    name: str
    size: Size
    eps: float = 1e-5
    role: Role = Role.NORM
    word: ClassVar[str] = "channel_norm"

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Plain("", self.role, bias=True),)

    def sizes(self) -> Sizes:
        return {self.role: (self.size,)}

    def equation(self, x: str = "x") -> str:
        return f"({x} − mean({x})) / std({x}) · {self.role} + bias"

    def terms(self) -> Mapping[Role, str]:
        return {self.role: f"{self.equation()}   over all frames of a channel"}

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[B, C, F] to the same."""
        import torch

        weights = at.weights(self)
        return torch.nn.functional.group_norm(
            x, int(self.size), weights[self.role], weights[f"{self.role}.bias"], self.eps
        )


class SampleConvolution(Component, frozen=True, kw_only=True):
    """activation(norm(convolution(x))); the norm is of each channel, of each frame, or none."""

    inputs: Size
    outputs: Size
    kernel: Size
    stride: Size
    bias: bool
    activation: str
    norm: ChannelNorm | LayerNorm | None

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Kernel("conv", Role.CONVOLUTION, bias=self.bias, last=False),)

    def sizes(self) -> Sizes:
        return {Role.CONVOLUTION: (self.outputs, self.inputs, self.kernel)}

    def equation(self, x: str = "x") -> str:
        made = f"convolution ∗ {x}" + (" + bias" if self.bias else "")
        made = f"{self.norm.word}({made})" if self.norm else made
        return f"{WORDS.get(self.activation, self.activation)}({made})"

    def terms(self) -> Mapping[Role, str]:
        return {Role.CONVOLUTION: f"{self.equation()}   over {self.kernel:,} places, in steps of {self.stride:,}"}

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[B, inputs, F] to [B, outputs, fewer]."""
        import torch

        weights = at.weights(self)
        kernel, bias = weights[Role.CONVOLUTION], weights.get(f"{Role.CONVOLUTION}.bias")
        x = torch.nn.functional.conv1d(x, kernel, bias, stride=int(self.stride))
        if isinstance(self.norm, LayerNorm):
            x = at.call(self.norm, x.transpose(1, 2)).transpose(1, 2)
        elif self.norm:
            x = at.call(self.norm, x)
        return activate(self.activation, x)


class SampleConvolutions(Component, frozen=True, kw_only=True):
    """The convolutions in their order; `layers` has one `Repeat` for each kind."""

    layers: tuple[Repeat, ...]

    @property
    def ordered(self) -> Sequence[tuple[int, Repeat, SampleConvolution]]:
        """Each convolution with its number and its kind, the first first."""
        found = [(number, repeat) for repeat in self.layers for number in repeat.indices]
        return [
            (number, repeat, repeat.child)
            for number, repeat in sorted(found, key=lambda pair: pair[0])
            if isinstance(repeat.child, SampleConvolution)
        ]

    def frames(self, samples: int) -> int:
        """How many frames so many samples give; 0 where they are too few."""
        for _, _, layer in self.ordered:
            samples = max(0, (samples - int(layer.kernel)) // int(layer.stride) + 1)
        return samples

    @property
    def least(self) -> int:
        """The fewest samples that give a frame."""
        count = 1
        for _, _, layer in reversed(self.ordered):
            count = (count - 1) * int(layer.stride) + int(layer.kernel)
        return count

    @property
    def step(self) -> int:
        """Samples from the start of a frame to that of the next."""
        count = 1
        for _, _, layer in self.ordered:
            count *= int(layer.stride)
        return count

    def equation(self, x: str = "samples") -> str:
        return f"convolutions({x})"

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Samples [B, S] to features [B, F, C]."""
        x = x[:, None]
        for number, repeat, layer in self.ordered:
            x = layer.forward(x, at.below(repeat, number))
        return x.transpose(1, 2)
