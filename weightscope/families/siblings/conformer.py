"""Parts of a conformer's layer that Gemma 3n and Gemma 4 have alike."""

from __future__ import annotations

from collections.abc import Callable

from weightscope.components.audio.conformer import HalfStep, LightConvolution
from weightscope.components.feed_forward.mlp import MLP
from weightscope.families.common import rms_norms
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import StorageItem
from weightscope.storage.kernel import Kernel

# Norms that do not read the config's epsilon.
NORM = rms_norms(1e-6)
Matrix = Callable[[str, Role], StorageItem]


def half_step(name: str, width: Size, matrix: Matrix, *, activation: str, share: float, bound: float) -> HalfStep:
    """An MLP four times as wide, between norms; `matrix` makes the item of each of its matrices."""
    return HalfStep(
        name=name,
        norm=NORM("pre_layer_norm", Role.INPUT_NORM, width),
        mlp=MLP(
            name="",
            items=(matrix("ffw_layer_1", Role.UP_PROJ), matrix("ffw_layer_2", Role.DOWN_PROJ)),
            width=width,
            inner=width * 4,
            activation=activation,
        ),
        out_norm=NORM("post_layer_norm", Role.NORM, width),
        share=share,
        bound=bound,
    )


def light_convolution(
    width: Size, kernel: Size, matrix: Matrix, *, eps: float, activation: str, bound: float
) -> LightConvolution:
    """A convolution between two matrices; its norms have the config's epsilon."""
    norm = rms_norms(eps)
    return LightConvolution(
        name="lconv1d",
        items=(
            matrix("linear_start", Role.IN_PROJ),
            Kernel("depthwise_conv1d", Role.CONVOLUTION),
            matrix("linear_end", Role.OUT_PROJ),
        ),
        width=width,
        kernel=kernel,
        activation=activation,
        norm=norm("pre_layer_norm", Role.INPUT_NORM, width),
        conv_norm=norm("conv_norm", Role.NORM, width),
        bound=bound,
    )
