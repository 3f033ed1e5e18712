"""The kinds of blocks that MobileNets are made of, under timm's names."""

from __future__ import annotations

from typing import Protocol

import msgspec

from weightscope.components.base import Component
from weightscope.components.layer_scale import LayerScale
from weightscope.components.vision.inverted_bottleneck import InvertedBottleneck
from weightscope.components.vision.mobile_attention import MobileAttention, MultiQueryAttention, ReducedProjection
from weightscope.components.vision.same_convolution import NormedConvolution, SameConvolution
from weightscope.families.common import rms_norms
from weightscope.roles import Role
from weightscope.sizes import Size

NORM, ACTIVATION = rms_norms(1e-6), "gelu_pytorch_tanh"
# What makes an output channel where each channel is convolved by itself.
ITSELF = Size(1)
# The side of the kernel that leaves fewer keys and values.
REDUCTION = 3


class Recipe(Protocol):
    """A kind of block, whatever its width."""

    def block(self, inputs: Size, outputs: Size) -> Component:
        """The block from so many channels to so many."""
        ...


class Edge(msgspec.Struct, frozen=True):
    """A convolution of all channels to `times` as many, then a matrix back (timm's EdgeResidual)."""

    times: int
    stride: int = 1

    def block(self, inputs: Size, outputs: Size) -> InvertedBottleneck:
        """The block from so many channels to so many."""
        inner = inputs * self.times
        spread = SameConvolution(
            name="conv_exp", role=Role.CONVOLUTION, inputs=inputs, outputs=inner, kernel=3, stride=self.stride
        )
        back = SameConvolution(name="conv_pwl", role=Role.DOWN_PROJ, inputs=inner, outputs=outputs)
        return InvertedBottleneck(
            convolutions=(normed(spread, "", norm="bn1", activation=ACTIVATION), normed(back, "", norm="bn2")),
            scale=None,
            residual=self.stride == 1 and inputs == outputs,
        )


class Inverted(msgspec.Struct, frozen=True):
    """A matrix to `times` as many channels, then a matrix back (timm's UniversalInvertedResidual).

    Channels are convolved by themselves before and between: `start` and `between` are the kernels, 0 for none.
    """

    start: int
    between: int
    times: int
    stride: int = 1

    def block(self, inputs: Size, outputs: Size) -> InvertedBottleneck:
        """The block from so many channels to so many."""
        inner = inputs * self.times
        steps = [expansion(inputs, inner), projection(inner, outputs)]
        if self.start:
            steps.insert(0, normed(_by_itself(inputs, self.start), "dw_start"))
        if self.between:
            steps.insert(-1, normed(_by_itself(inner, self.between, self.stride), "dw_mid", activation=ACTIVATION))
        return InvertedBottleneck(
            convolutions=tuple(steps),
            scale=_scale(outputs),
            residual=self.stride == 1 and inputs == outputs,
        )


class Attention(msgspec.Struct, frozen=True):
    """`heads` of `size` look at all places, or with a `stride` at a map reduced by it (timm's MobileAttention)."""

    heads: int
    size: int
    stride: int = 1

    def block(self, inputs: Size, outputs: Size) -> MobileAttention:
        """The block of so many channels."""
        queries = Size(self.heads * self.size)
        return MobileAttention(
            norm=NORM("norm", Role.INPUT_NORM, inputs),
            attention=MultiQueryAttention(
                name="attn",
                heads=Size(self.heads),
                query=SameConvolution(name="query.proj", role=Role.Q_PROJ, inputs=inputs, outputs=queries),
                key=self._looked_at("key", Role.K_PROJ, inputs),
                value=self._looked_at("value", Role.V_PROJ, inputs),
                output=SameConvolution(name="output.proj", role=Role.O_PROJ, inputs=queries, outputs=outputs),
            ),
            scale=_scale(outputs),
        )

    def _looked_at(self, name: str, role: Role, width: Size) -> ReducedProjection:
        reduced = SameConvolution(
            name="down_conv", role=Role.DOWNSAMPLE, inputs=ITSELF, outputs=width, kernel=REDUCTION, stride=self.stride
        )
        return ReducedProjection(
            name=name,
            reduction=normed(reduced, "", norm="norm") if self.stride > 1 else None,
            proj=SameConvolution(name="proj", role=role, inputs=width, outputs=Size(self.size)),
        )


def normed(convolution: SameConvolution, name: str, *, norm: str = "bn", activation: str = "") -> NormedConvolution:
    """The convolution with the norm of what it makes."""
    return NormedConvolution(
        name=name,
        convolution=convolution,
        norm=NORM(norm, Role.NORM, convolution.outputs),
        activation=activation,
    )


def expansion(inputs: Size, inner: Size) -> NormedConvolution:
    """The matrix to more channels."""
    spread = SameConvolution(name="conv", role=Role.UP_PROJ, inputs=inputs, outputs=inner)
    return normed(spread, "pw_exp", activation=ACTIVATION)


def projection(inner: Size, outputs: Size) -> NormedConvolution:
    """The matrix back to fewer."""
    return normed(SameConvolution(name="conv", role=Role.DOWN_PROJ, inputs=inner, outputs=outputs), "pw_proj")


def _by_itself(channels: Size, kernel: int, stride: int = 1) -> SameConvolution:
    return SameConvolution(
        name="conv", role=Role.CONVOLUTION, inputs=ITSELF, outputs=channels, kernel=kernel, stride=stride
    )


def _scale(width: Size) -> LayerScale:
    return LayerScale(parameter="layer_scale.gamma", size=width)
