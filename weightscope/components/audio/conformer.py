"""Layers of a conformer (arXiv 2005.08100) as the Universal Speech Model has them (arXiv 2303.01037).

Shapes: N frames of all clips one after another, W their width.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

from weightscope.components.audio.local_attention import LocalAttention
from weightscope.components.audio.tower import CLIP
from weightscope.components.base import Component
from weightscope.components.feed_forward.activations import WORDS, activate
from weightscope.components.feed_forward.mlp import MLP
from weightscope.components.norm import Norm
from weightscope.components.recurrent.convolution import convolve, kernel_shape
from weightscope.components.running import At, linear
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem

if TYPE_CHECKING:
    import torch


class HalfStep(Component, frozen=True, kw_only=True):
    """x + share · out_norm(mlp(norm(x))); values beyond `bound` are clamped."""

    norm: Norm
    mlp: MLP
    out_norm: Norm
    share: float
    bound: float
    word: ClassVar[str] = "mlp"

    def equation(self, x: str = "x") -> str:
        return f"{x} + {self.share:g}·{self.out_norm.word}({self.mlp.equation('n')}),  n = {self.norm.word}({x})"

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[N, W] to [N, W]."""
        made = at.call(self.mlp, at.call(self.norm, bounded(x, self.bound)))
        return x + at.call(self.out_norm, bounded(made, self.bound)) * self.share


class LightConvolution(Component, frozen=True, kw_only=True):
    """x + out·activation(conv_norm(conv(glu(in·norm(x))))): each channel over the last frames of its clip."""

    items: tuple[StorageItem, ...]
    width: Size
    kernel: Size
    activation: str
    norm: Norm
    conv_norm: Norm
    bound: float
    word: ClassVar[str] = "convolution"

    @property
    def stored(self) -> Iterable[StorageItem]:
        return self.items

    def sizes(self) -> Sizes:
        return {
            Role.IN_PROJ: (self.width * 2, self.width),
            Role.CONVOLUTION: kernel_shape(self.width, self.kernel),
            Role.OUT_PROJ: (self.width, self.width),
        }

    def equation(self, x: str = "x") -> str:
        activation = WORDS.get(self.activation, self.activation)
        mixed = f"{self.conv_norm.word}(convolution ∗ glu(in_proj·{self.norm.word}({x})))"
        return f"{x} + out_proj·{activation}({mixed})"

    def terms(self) -> Mapping[Role, str]:
        return {
            Role.IN_PROJ: "glu(in_proj·n): one half times the sigmoid of the other",
            Role.CONVOLUTION: f"each channel over the last {int(self.kernel)} frames",
            Role.OUT_PROJ: f"out_proj·{WORDS.get(self.activation, self.activation)}(…) is added to x",
        }

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[N, W] to [N, W]."""
        import torch

        weights = at.weights(self)
        gated = torch.nn.functional.glu(linear(at.call(self.norm, x), weights, Role.IN_PROJ), dim=-1)
        clips = torch.split(gated, list(at.run.segments[CLIP]))
        mixed = bounded(torch.cat([convolve(clip, weights) for clip in clips]), self.bound)
        return x + linear(activate(self.activation, at.call(self.conv_norm, mixed)), weights, Role.OUT_PROJ)


class ConformerLayer(Component, frozen=True, kw_only=True):
    """Attention and a convolution between two halves of an MLP, then a norm."""

    first: HalfStep
    attention_norm: Norm
    attention: LocalAttention
    attention_out_norm: Norm
    convolution: LightConvolution
    last: HalfStep
    norm: Norm
    bound: float

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[N, W] to [N, W]."""
        x = at.call(self.first, x)
        at.stage("first mlp", self.first.equation(), x)
        attended = at.call(self.attention, at.call(self.attention_norm, bounded(x, self.bound)))
        x = x + at.call(self.attention_out_norm, bounded(attended, self.bound))
        made = f"{self.attention_out_norm.word}({self.attention.equation('n')})"
        at.stage("attention", f"x + {made},  n = {self.attention_norm.word}(x)", x)
        x = at.call(self.convolution, x)
        at.stage("convolution", self.convolution.equation(), x)
        x = at.call(self.norm, bounded(at.call(self.last, x), self.bound))
        at.stage("last mlp", f"{self.norm.word}({self.last.equation()})", x)
        return x


def bounded(x: torch.Tensor, bound: float) -> torch.Tensor:
    """The values between -bound and bound."""
    return x.clamp(-bound, bound)
