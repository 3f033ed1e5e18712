"""ConvNeXt's layers (arXiv 2201.03545), version 2's too (arXiv 2301.00808): a convolution for each channel, an MLP."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

from weightscope.components.base import Component
from weightscope.components.feed_forward.activations import WORDS, activate
from weightscope.components.feed_forward.mlp import MLP
from weightscope.components.layer_scale import LayerScale
from weightscope.components.norm import Norm
from weightscope.components.running import At
from weightscope.components.vision.plane import flattened, raised
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.kernel import Kernel
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch

# Rows and columns that a channel's kernel covers.
KERNEL = 7


class ConvBlock(Component, frozen=True, kw_only=True):
    """x + scale · mlp(norm(convolution ∗ x)): the convolution mixes places, each channel by itself."""

    width: Size
    norm: Norm
    mlp: MLP
    scale: LayerScale | None

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Kernel("dwconv", Role.CONVOLUTION, bias=True),)

    def sizes(self) -> Sizes:
        side = Size(KERNEL)
        return {Role.CONVOLUTION: (self.width, Size(1), side, side)}

    def equation(self, x: str = "x") -> str:
        made = self.mlp.equation(f"{self.norm.word}(convolution ∗ {x} + bias)")
        return f"{x} + {Role.LAYER_SCALE} · {made}" if self.scale else f"{x} + {made}"

    def terms(self) -> Mapping[Role, str]:
        return {Role.CONVOLUTION: f"convolution ∗ x   {KERNEL} × {KERNEL} places, each channel by itself"}

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Places [rows · columns, width] to the same."""
        import torch

        weights = at.weights(self)
        mixed = torch.nn.functional.conv2d(
            raised(x, at).movedim(-1, 0),
            weights[Role.CONVOLUTION],
            weights[f"{Role.CONVOLUTION}.bias"],
            padding=KERNEL // 2,
            groups=int(self.width),
        )
        made = at.call(self.mlp, at.call(self.norm, mixed.movedim(0, -1).flatten(0, 1)))
        out = x + (at.call(self.scale, made) if self.scale else made)
        at.stage("convolution and mlp", self.equation(), out)
        return out


class ResponseNorm(Component, frozen=True, kw_only=True):
    """u + w · u · n / mean(n) + bias, where u is activated and n its norm over all places, channel by channel."""

    name: str
    activation: str
    size: Size

    @property
    def stored(self) -> Iterable[StorageItem]:
        return Plain("weight", Role.SUB_NORM, leaf=""), Plain("bias", Role.FEATURE_BIAS, leaf="")

    def sizes(self) -> Sizes:
        one = Size(1)
        return dict.fromkeys((Role.SUB_NORM, Role.FEATURE_BIAS), (one, one, one, self.size))

    def equation(self, x: str = "x") -> str:
        u = f"{WORDS.get(self.activation, self.activation)}({x})"
        return f"response_norm({u})"

    def terms(self) -> Mapping[Role, str]:
        return {
            Role.SUB_NORM: "u + sub_norm · u · n / mean(n) + feature_bias   n = |u| over all places, for each channel",
            Role.FEATURE_BIAS: "feature_bias is added to each channel",
        }

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[places, size] to the same."""
        weights, u = at.weights(self), activate(self.activation, x)
        n: torch.Tensor = u.norm(dim=0, keepdim=True)
        share = n / (n.mean(-1, keepdim=True) + 1e-6)
        return weights[Role.SUB_NORM].flatten() * (u * share) + weights[Role.FEATURE_BIAS].flatten() + u


class Downsampling(Component, frozen=True, kw_only=True):
    """A norm, then a convolution that makes one place of 2 × 2; what is left over at an edge is dropped."""

    name: str
    inputs: Size
    outputs: Size
    norm: Norm
    word: ClassVar[str] = "downsampling"

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Kernel("1", Role.DOWNSAMPLE, bias=True),)

    def sizes(self) -> Sizes:
        return {Role.DOWNSAMPLE: (self.outputs, self.inputs, Size(2), Size(2))}

    def equation(self, x: str = "x") -> str:
        return f"downsample ∗ {self.norm.word}({x}) + bias"

    def terms(self) -> Mapping[Role, str]:
        return {Role.DOWNSAMPLE: self.equation()}

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Places [rows · columns, inputs] to a quarter as many, [N, outputs]."""
        import torch

        weights, normed = at.weights(self), raised(at.call(self.norm, x), at)
        kernel, bias = weights[Role.DOWNSAMPLE], weights[f"{Role.DOWNSAMPLE}.bias"]
        made = torch.nn.functional.conv2d(normed.movedim(-1, 0), kernel, bias, stride=2)
        return flattened(made.movedim(0, -1), at)
