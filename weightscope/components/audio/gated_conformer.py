"""Layers of a conformer (arXiv 2005.08100) with gates in its MLPs and its convolution (Phi-4-multimodal).

Shapes: C clips of N frames, one after another, W their width.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

from weightscope.components.audio.heard_attention import HeardAttention
from weightscope.components.audio.tower import CLIP
from weightscope.components.base import Component
from weightscope.components.feed_forward.activations import WORDS, activate
from weightscope.components.feed_forward.mlp import GatedMLP
from weightscope.components.norm import Norm
from weightscope.components.recurrent.convolution import convolve
from weightscope.components.running import At
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch

ONE = Size(1)


class HalfGatedStep(Component, frozen=True, kw_only=True):
    """x + ½ · mlp(norm(x))."""

    name: str
    norm: Norm
    mlp: GatedMLP

    def equation(self, x: str = "x") -> str:
        return f"{x} + 0.5·{self.mlp.equation('n')},  n = {self.norm.word}({x})"

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[C·N, W] to [C·N, W]."""
        return x + at.call(self.mlp, at.call(self.norm, x)) * 0.5


class GatedFrames(Component, frozen=True, kw_only=True):
    """(a + bias) ⊙ activation(b + gate bias), [a | b] being made of each frame by one matrix."""

    name: str
    inputs: Size
    outputs: Size
    activation: str

    @property
    def stored(self) -> Iterable[StorageItem]:
        yield Plain("ext_pw_conv_1d", Role.IN_PROJ, bias=True)
        yield Plain("b1", Role.FEATURE_BIAS, leaf="")
        yield Plain("b2", Role.INPUT_GATE_BIAS, leaf="")

    def sizes(self) -> Sizes:
        beside = dict.fromkeys((Role.FEATURE_BIAS, Role.INPUT_GATE_BIAS), (ONE, self.outputs, ONE))
        return {Role.IN_PROJ: (self.outputs * 2, self.inputs, ONE), **beside}

    def equation(self, x: str = "x") -> str:
        gate = WORDS.get(self.activation, self.activation)
        return f"(a + feature_bias) ⊙ {gate}(b + input_gate_bias),  [a | b] = in_proj·{x} + bias"

    def terms(self) -> Mapping[Role, str]:
        return dict.fromkeys((Role.IN_PROJ, Role.FEATURE_BIAS, Role.INPUT_GATE_BIAS), self.equation())

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[C·N, inputs] to [C·N, outputs]."""
        weights = at.weights(self)
        made, gate = by_frame(x, weights, Role.IN_PROJ).chunk(2, dim=-1)
        opened = activate(self.activation, gate + weights[Role.INPUT_GATE_BIAS].flatten())
        return (made + weights[Role.FEATURE_BIAS].flatten()) * opened


class SeparableConvolution(Component, frozen=True, kw_only=True):
    """Each channel over the last frames of its clip, `kernels` for each channel, then one matrix on each frame."""

    name: str
    width: Size
    kernels: Size
    kernel: Size
    outputs: Size

    @property
    def stored(self) -> Iterable[StorageItem]:
        yield Plain("dw_conv", Role.CONVOLUTION, bias=True)
        yield Plain("pw_conv", Role.OUT_PROJ, bias=True)

    def sizes(self) -> Sizes:
        made = self.width * self.kernels
        return {Role.CONVOLUTION: (made, ONE, self.kernel), Role.OUT_PROJ: (self.outputs, made, ONE)}

    def equation(self, x: str = "x") -> str:
        return f"out_proj·(convolution ∗ {x} + bias) + bias"

    def terms(self) -> Mapping[Role, str]:
        return {
            Role.CONVOLUTION: f"each channel over the last {int(self.kernel)} frames",
            Role.OUT_PROJ: self.equation(),
        }

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[C·N, W] to [C·N, outputs]."""
        import torch

        weights, clips = at.weights(self), torch.split(x, list(at.run.segments[CLIP]))
        return by_frame(torch.cat([convolve(clip, weights) for clip in clips]), weights, Role.OUT_PROJ)


class ConvolutionStep(Component, frozen=True, kw_only=True):
    """x + out·activation(convolution(gate(norm(x))))."""

    name: str
    norm: Norm
    gate: GatedFrames
    convolution: SeparableConvolution
    activation: str
    width: Size
    outputs: Size
    word: ClassVar[str] = "convolution"

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Plain("ext_pw_conv_1d", Role.OUT_PROJ, bias=True),)

    def sizes(self) -> Sizes:
        return {Role.OUT_PROJ: (self.outputs, self.width, ONE)}

    def equation(self, x: str = "x") -> str:
        activation = WORDS.get(self.activation, self.activation)
        return f"{x} + out_proj·{activation}(convolution(gate({self.norm.word}({x})))) + bias"

    def terms(self) -> Mapping[Role, str]:
        return {Role.OUT_PROJ: self.equation()}

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[C·N, W] to [C·N, W]."""
        mixed = at.call(self.convolution, at.call(self.gate, at.call(self.norm, x)))
        return x + by_frame(activate(self.activation, mixed), at.weights(self), Role.OUT_PROJ)


class GatedConformerLayer(Component, frozen=True, kw_only=True):
    """Attention and a convolution between two halves of an MLP, then a norm."""

    first: HalfGatedStep
    attention_norm: Norm
    attention: HeardAttention
    convolution: ConvolutionStep
    last: HalfGatedStep
    norm: Norm

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[C·N, W] to [C·N, W]."""
        x = at.call(self.first, x)
        at.stage("first mlp", self.first.equation(), x)
        x = x + at.call(self.attention, at.call(self.attention_norm, x))
        at.stage("attention", f"x + {self.attention.equation('n')},  n = {self.attention_norm.word}(x)", x)
        x = at.call(self.convolution, x)
        at.stage("convolution", self.convolution.equation(), x)
        x = at.call(self.norm, at.call(self.last, x))
        at.stage("last mlp", f"{self.norm.word}({self.last.equation()})", x)
        return x


def by_frame(x: torch.Tensor, weights: Mapping[str, torch.Tensor], role: Role) -> torch.Tensor:
    """A convolution [out, in, 1], which is a matrix on each frame, on frames [N, in]."""
    import torch

    return torch.nn.functional.linear(x, weights[role][..., 0], weights[f"{role}.bias"])
