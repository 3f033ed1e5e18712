"""What a spectrogram goes through before a conformer's layers: a scale for each bin, convolutions that halve it.

Source: `Phi4MultimodalAudioNemoConvSubsampling` of transformers. Shapes: C clips, N frames, F frequencies.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from weightscope.components.base import Component
from weightscope.components.feed_forward.activations import WORDS, activate
from weightscope.components.projection import Projection
from weightscope.components.running import At
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.plain import Buffer, Plain

if TYPE_CHECKING:
    import torch

ONE = Size(1)


class FeatureNorm(Component, frozen=True, kw_only=True):
    """(x - mean) · scale of each bin, by what was measured on the training data."""

    name: str
    bins: Size

    @property
    def stored(self) -> Iterable[StorageItem]:
        yield Buffer("global_mean", Role.FEATURE_BIAS, (self.bins,), optional=False)
        yield Buffer("global_invstd", Role.FEATURE_SCALE, (self.bins,), optional=False)

    def sizes(self) -> Sizes:
        return dict.fromkeys((Role.FEATURE_BIAS, Role.FEATURE_SCALE), (self.bins,))

    def equation(self, x: str = "x") -> str:
        return f"({x} − feature_bias) ⊙ feature_scale"

    def terms(self) -> Mapping[Role, str]:
        return dict.fromkeys((Role.FEATURE_BIAS, Role.FEATURE_SCALE), self.equation())

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[C, N, bins] to the same."""
        weights = at.weights(self)
        return (x - weights[Role.FEATURE_BIAS]) * weights[Role.FEATURE_SCALE]


class SmallConvolution(Component, frozen=True, kw_only=True):
    """convolution ∗ x + bias over `side` × `side` places, every `step` × `step`; `apart` gives each channel its own."""

    name: str
    inputs: Size
    outputs: Size
    side: Size
    step: int
    apart: bool = False

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Plain("", Role.CONVOLUTION, bias=True),)

    def sizes(self) -> Sizes:
        return {Role.CONVOLUTION: (self.outputs, ONE if self.apart else self.inputs, self.side, self.side)}

    def equation(self, x: str = "x") -> str:
        return f"convolution ∗ {x} + bias"

    def terms(self) -> Mapping[Role, str]:
        side, each = int(self.side), "each channel, " if self.apart else ""
        return {Role.CONVOLUTION: f"{self.equation()}   {each}over {side} × {side} places, every {self.step}"}

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[C, inputs, N, F] to [C, outputs, N / step, F / step], rounded up."""
        import torch

        weights = at.weights(self)
        return torch.nn.functional.conv2d(
            x,
            weights[Role.CONVOLUTION],
            weights[f"{Role.CONVOLUTION}.bias"],
            stride=self.step,
            padding=int(self.side) // 2,
            groups=int(self.inputs) if self.apart else 1,
        )


class Halving(Component, frozen=True, kw_only=True):
    """The activation of one convolution, or of one for each channel and then one over the channels."""

    convolutions: tuple[SmallConvolution, ...]
    activation: str

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[C, inputs, N, F] to [C, outputs, N / 2, F / 2], rounded up."""
        for convolution in self.convolutions:
            x = at.call(convolution, x)
        return activate(self.activation, x)


class SeparableStem(Component, frozen=True, kw_only=True):
    """Halves time and frequencies several times; then one matrix on all frequencies of all channels of a frame."""

    name: str
    halvings: tuple[Halving, ...]
    out: Projection

    def equation(self, x: str = "x") -> str:
        activation = self.halvings[0].activation
        halved = f"{WORDS.get(activation, activation)}(convolution ∗ …)"
        return f"in_proj·[frequencies of each channel] + bias, after {len(self.halvings)} times {halved} of {x}"

    def frames(self, count: int) -> int:
        """How many frames it leaves of so many."""
        for _ in self.halvings:
            count = (count + 1) // 2
        return count

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[C, N, bins] to [C, fewer frames, width]."""
        x = x[:, None]
        for halving in self.halvings:
            x = at.call(halving, x)
        return at.call(self.out, x.transpose(1, 2).flatten(2))
