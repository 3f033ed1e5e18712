"""MobileNetV5-300M, Gemma 3n's vision tower, as timm names it.

Source: `mobilenetv5_300m_enc` of timm 1.0.31.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from weightscope.components.base import Repeat
from weightscope.components.vision.inverted_bottleneck import InvertedBottleneck
from weightscope.components.vision.mobilenet import MobileNet
from weightscope.components.vision.same_convolution import NormedConvolution, SameConvolution
from weightscope.components.vision.scale_fusion import ScaleFusion
from weightscope.components.vision.staged import Stage
from weightscope.families.common.causal_lm import numbered
from weightscope.families.siblings.mobilenet_blocks import (
    ACTIVATION,
    NORM,
    Attention,
    Edge,
    Inverted,
    Recipe,
    expansion,
    normed,
    projection,
)
from weightscope.roles import Role
from weightscope.sizes import Size

COLORS, STEM = 3, 64
# The channels of each stage, and its blocks.
STAGES: tuple[tuple[int, tuple[Recipe, ...]], ...] = (
    (128, (Edge(4, stride=2), Edge(4), Edge(4))),
    (256, (Inverted(3, 5, 6, stride=2), *(Inverted(start, 0, 4) for start in (5, 3, 5, 3)))),
    (
        640,
        (
            Inverted(5, 5, 6, stride=2),
            *(Inverted(5, 0, 4),) * 7,
            Inverted(0, 0, 1),
            *(Attention(12, 64, stride=2), Inverted(0, 0, 2)) * 14,
        ),
    ),
    (1280, (Inverted(5, 5, 6, stride=2), *(Attention(16, 96), Inverted(0, 0, 2)) * 19)),
)
# The maps of the last stages become `SIDE` × `SIDE` vectors of `WIDTH` elements.
FUSED, SIDE, WIDTH = 2, 16, 2048


def mobilenet_v5(name: str, multiplier: float, *, by_mlx: bool) -> MobileNet:
    """All stages have `multiplier` times as many channels; the stem never has fewer.

    MLX stores kernels with the input channels last; of the stem's, 3 × 3 over 3 channels, the shape does not tell.
    """
    stem = Size(_rounded(STEM, max(multiplier, 1.0)))
    widths = [Size(_rounded(width, multiplier)) for width, _ in STAGES]
    sides = zip(pairwise([stem, *widths]), STAGES, strict=True)
    stages = (_stage(recipes, inputs, outputs) for (inputs, outputs), (_, recipes) in sides)
    return MobileNet(
        name=name,
        stem=_stem(stem, by_mlx=by_mlx),
        stages=tuple(
            Repeat(name="blocks", indices=(number,), child=stage, of="part") for number, stage in enumerate(stages)
        ),
        fusion=_fusion(Size(sum(widths[-FUSED:])), Size(WIDTH)),
        fused=FUSED,
    )


def _rounded(channels: int, multiplier: float) -> int:
    """A multiple of 8, as near as it gets, and no more than a tenth below."""
    exact = channels * multiplier
    near = max(8, int(exact + 4) // 8 * 8)
    return near + 8 if near < 0.9 * exact else near


def _stage(recipes: Sequence[Recipe], inputs: Size, outputs: Size) -> Stage:
    """The first block has the stage before as its input."""
    blocks = numbered("", len(recipes), lambda number: recipes[number].block(outputs if number else inputs, outputs))
    return Stage(blocks=blocks)


def _stem(channels: Size, *, by_mlx: bool) -> NormedConvolution:
    pixels = SameConvolution(
        name="conv",
        role=Role.CONVOLUTION,
        inputs=Size(COLORS),
        outputs=channels,
        kernel=3,
        stride=2,
        bias=True,
        channels_last=by_mlx,
    )
    return normed(pixels, "conv_stem", activation=ACTIVATION)


def _fusion(channels: Size, width: Size) -> ScaleFusion:
    inner = channels * 2
    steps = (expansion(channels, inner), projection(inner, width))
    feed_forward = InvertedBottleneck(name="ffn", convolutions=steps, scale=None, residual=False)
    return ScaleFusion(name="msfa", feed_forward=feed_forward, norm=NORM("norm", Role.FINAL_NORM, width), side=SIDE)
