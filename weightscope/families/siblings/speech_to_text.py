"""Speech2Text's encoder: gated convolutions that halve the frames, then layers as Whisper's."""

from __future__ import annotations

from weightscope.components.attention import EVERYTHING
from weightscope.components.audio.convolutions import GATED, TimeConvolution
from weightscope.components.audio.subsampled import SubsampledSpeech
from weightscope.config import Config
from weightscope.families.common import depth_of, numbered
from weightscope.families.common.numbers import layer_numbers
from weightscope.families.common.sinusoids import sinusoids
from weightscope.families.siblings.whisper import NORM, encoder_block
from weightscope.roles import Role
from weightscope.sizes import size


def encoder(config: Config) -> SubsampledSpeech:
    """The encoder of speech."""
    width, depth = config["d_model"], depth_of(config, "encoder_layers")
    block = encoder_block(config, EVERYTHING, key_bias=True)
    return SubsampledSpeech(
        name="encoder",
        width=width,
        bins=config["input_feat_per_channel"] * config["input_channels"],
        convolutions=convolutions(config),
        waves=sinusoids(config, config["max_source_positions"]),
        blocks=numbered("layers", depth, lambda _: block),
        depth=depth,
        final_norm=NORM("layer_norm", Role.FINAL_NORM, width),
        scale=scale(config),
    )


def convolutions(config: Config) -> tuple[TimeConvolution, ...]:
    """Each halves the frames, and its gate the channels.

    Raises:
        ConfigError: there are not as many kernels as convolutions, or none of either.
    """
    kernels = layer_numbers(config, "conv_kernel_sizes")
    count = config["num_conv_layers"]
    if len(kernels) != count or not kernels or min(kernels) < 1:
        raise config.error(f"conv_kernel_sizes {list(kernels)!s:.60} does not go with num_conv_layers {count:,}")
    middle, last = config["conv_channels"], config["d_model"] * 2
    inputs = [config["input_feat_per_channel"] * config["input_channels"], *(middle // 2 for _ in kernels[1:])]
    outputs = [*(middle for _ in kernels[1:]), last]
    return tuple(
        TimeConvolution(
            name=f"conv.conv_layers.{number}", inputs=taken, outputs=made, kernel=size(kernel), stride=2,
            activation=GATED,
        )
        for number, (taken, made, kernel) in enumerate(zip(inputs, outputs, kernels, strict=True))
    )  # fmt: skip


def scale(config: Config) -> float:
    """What embeddings are multiplied by, and what leaves the convolutions."""
    return float(config["d_model"]) ** 0.5 if config["scale_embedding"] else 1.0
