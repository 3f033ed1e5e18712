"""The vocoder of Qwen2.5-Omni: BigVGAN (arXiv 2206.04658), named and counted."""

from __future__ import annotations

from typing import Any

from weightscope.components.base import Component, Repeat
from weightscope.components.outline import Outline
from weightscope.config import Config
from weightscope.families.common.numbers import sizes
from weightscope.families.siblings.outlines import module, parameter, tensor
from weightscope.roles import Role
from weightscope.sizes import Size

VOCODER: dict[str, Any] = {
    "mel_dim": 80, "upsample_initial_channel": 1536, "resblock_kernel_sizes": [3, 7, 11],
    "upsample_rates": [5, 3, 2, 2, 2, 2], "upsample_kernel_sizes": [11, 7, 4, 4, 4, 4],
}  # fmt: skip
SEVEN, CONVOLUTION = Size(7), Role.CONVOLUTION
# Of a block: it has two convolutions for each of three dilations, and an activation before each.
DILATIONS = 3


def vocoder(config: Config) -> Component:
    """Spectrograms to a waveform; each step halves the channels.

    Raises:
        ConfigError: lists of other lengths than each other.
    """
    first, kernels = config["upsample_initial_channel"], sizes(config, "upsample_kernel_sizes")
    beside = sizes(config, "resblock_kernel_sizes")
    if len(sizes(config, "upsample_rates")) != len(kernels):
        raise config.error(f"{config.prefix}upsample_rates and upsample_kernel_sizes have other lengths")
    widths = [first // (1 << step) for step in range(len(kernels) + 1)]
    steps = (
        part
        for step, kernel in enumerate(kernels)
        for part in (
            tensor(f"ups.{step}.0", CONVOLUTION, widths[step], widths[step + 1], kernel, bias=False),
            parameter(f"ups.{step}.0.bias", CONVOLUTION, widths[step + 1]),
        )
    )
    blocks = (
        _block(f"resblocks.{step * len(beside) + number}", widths[step + 1], kernel)
        for step in range(len(kernels))
        for number, kernel in enumerate(beside)
    )
    last = widths[-1]
    return module(
        "code2wav_bigvgan_model",
        tensor("conv_pre", CONVOLUTION, first, config["mel_dim"], SEVEN),
        *steps,
        *blocks,
        snake("activation_post.act", last),
        tensor("conv_post", CONVOLUTION, Size(1), last, SEVEN, bias=False),
    )


def _block(name: str, width: Size, kernel: Size) -> Component:
    """Convolutions that keep the channels, and what activates them."""
    inside = tensor("", CONVOLUTION, width, width, kernel)
    counted = range(DILATIONS)
    return module(
        name,
        *(Repeat(name=part, indices=counted, child=inside, of="part") for part in ("convs1", "convs2")),
        Repeat(name="activations", indices=range(2 * DILATIONS), child=snake("act", width), of="part"),
    )


def snake(name: str, width: Size) -> Outline:
    """X + sin²(e^alpha · x) / e^beta, of each channel."""
    return module(name, *(parameter(part, role, width) for part, role in SNAKE))


SNAKE = (("alpha", Role.ALPHA_P), ("beta", Role.BETA))
