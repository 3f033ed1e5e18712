"""Phi-4's audio tower, a conformer (arXiv 2005.08100), and its projectors: named and counted, and no pass uses them."""

from __future__ import annotations

from math import log2
from typing import Any, NamedTuple

from weightscope.components.base import Repeat
from weightscope.components.outline import Outline
from weightscope.config import Config, Nullable
from weightscope.families.common import depth_of, layer_norms
from weightscope.roles import Role, Section
from weightscope.sizes import Shape, Size
from weightscope.storage.linear import Linear
from weightscope.storage.plain import Buffer, Plain

PHI4_AUDIO: dict[str, Any] = {
    "hidden_size": 1024, "intermediate_size": 1536, "num_blocks": 24, "num_attention_heads": 16,
    "ext_pw_out_channel": 1024, "depthwise_separable_out_channel": 1024, "depthwise_multiplier": 1, "kernel_size": 3,
    "input_size": 80, "time_reduction": 8, "bias_max_distance": 1000, "bias_symmetric": False,
    "nemo_conv_channels": 1024, "downsample_rate": 1, "audio_token_id": 200011,
    # No field of the class, but its attention asks the config for it.
    "head_dim": Nullable(int),
    # No field either: what is left of the bins, which the class works out unless the file says it.
    "nemo_final_size": Nullable(int),
}  # fmt: skip
NORM, ONE = layer_norms(1e-5), Size(1)
QKV = (Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ)


class Names(NamedTuple):
    """Of an attention's matrices, an MLP's, and the projectors' two: for speech alone, then beside images."""

    attention: tuple[str, str, str, str]
    mlp: tuple[str, str]
    projectors: tuple[tuple[str, str], tuple[str, str]]


HELD = Names(
    ("q_proj", "k_proj", "v_proj", "o_proj"),
    ("gate_up_proj", "down_proj"),
    (
        ("up_proj_for_speech", "down_proj_for_speech"),
        ("up_proj_for_vision_speech", "down_proj_for_vision_speech"),
    ),
)
PUBLISHED = Names(
    ("linear_q", "linear_k", "linear_v", "linear_out"),
    ("net.0.linear", "net.2"),
    (
        ("audio_projection.speech.0", "audio_projection.speech.2"),
        ("audio_projection.vision.0", "audio_projection.vision.2"),
    ),
)
# The most halvings of time.
MAX_HALVINGS = 16


def audio_embedding(config: Config, outputs: Size, name: str, names: Names = HELD) -> Outline:
    """The tower, and two matrices to the language model's width for each way of use."""
    width = config["hidden_size"] * config["downsample_rate"]
    projectors = tuple(
        _matrix(matrix, Role.PROJECTOR, (outputs, inputs))
        for pair in names.projectors
        for matrix, inputs in zip(pair, (width, outputs), strict=True)
    )
    return Outline(
        name=name,
        inside=(conformer(config, "encoder", names), Outline(section=Section.PROJECTOR, inside=projectors)),
    )


def conformer(config: Config, name: str, names: Names) -> Outline:
    """What scales the spectrogram, convolutions, biases by distance, layers."""
    width, heads, distance = config["hidden_size"], config["num_attention_heads"], config["bias_max_distance"]
    buckets = distance if config["bias_symmetric"] else distance * 2
    bins = (config["input_size"],)
    statistics = (("global_mean", Role.FEATURE_BIAS), ("global_invstd", Role.FEATURE_SCALE))
    return Outline(
        name=name,
        section=Section.AUDIO,
        line=f"audio {config['num_blocks']:,} layers of {width:,}",
        inside=(
            Outline(
                name="encoder_embedding",
                items=tuple(Buffer(leaf, role, bins, optional=False) for leaf, role in statistics),
                shapes=tuple((role, bins) for _, role in statistics),
            ),
            _stem(config, width),
            Outline(
                name="relative_attention_bias_layer",
                items=(Plain("bias_values", Role.RELATIVE_POSITION),),
                shapes=((Role.RELATIVE_POSITION, (buckets, heads)),),
            ),
            Repeat(name="encoders", indices=range(depth_of(config, "num_blocks")), child=_layer(config, width, names)),
        ),
    )


def _stem(config: Config, width: Size) -> Outline:
    """A convolution halves time and bins, then pairs of one for each channel and one over the channels.

    Raises:
        ConfigError: a reduction of time that no halvings make.
    """
    channels, reduction, three = config["nemo_conv_channels"], config["time_reduction"], Size(3)
    halvings = int(log2(reduction)) if reduction else 0
    if not 0 < halvings <= MAX_HALVINGS:
        raise config.error(f"'time_reduction' is {reduction:,}, which is no number of halvings")
    convolutions: dict[int, Shape] = {0: (channels, ONE, three, three)}
    for number in range(halvings - 1):
        convolutions[2 + 3 * number] = (channels, ONE, three, three)
        convolutions[3 + 3 * number] = (channels, channels, ONE, ONE)
    bins = config["input_size"]
    for _ in range(halvings):
        bins = (bins - 1) // 2 + 1
    left = config["nemo_final_size"]
    bins = bins if left is None else left
    return Outline(
        name="embed",
        inside=(
            *(_kernel(f"conv.{number}", shape) for number, shape in convolutions.items()),
            _matrix("out", Role.IN_PROJ, (width, channels * bins)),
        ),
    )


def _layer(config: Config, width: Size, names: Names) -> Outline:
    inner = config["intermediate_size"]
    return Outline(
        inside=(
            _mlp("feed_forward_in", width, inner, names.mlp),
            NORM("layer_norm_att", Role.INPUT_NORM, width),
            _attention(config, width, names.attention),
            _convolution(config, width),
            _mlp("feed_forward_out", width, inner, names.mlp),
            NORM("layer_norm", Role.FINAL_NORM, width),
        )
    )


def _mlp(name: str, width: Size, inner: Size, names: tuple[str, str]) -> Outline:
    return Outline(
        name=name,
        items=(
            Linear(names[0], Role.GATE_PROJ, Role.UP_PROJ, bias=True),
            Linear(names[1], Role.DOWN_PROJ, bias=True),
        ),
        shapes=((Role.GATE_PROJ, (inner, width)), (Role.UP_PROJ, (inner, width)), (Role.DOWN_PROJ, (width, inner))),
        inside=(NORM("layer_norm", Role.INPUT_NORM, width),),
    )


def _attention(config: Config, width: Size, names: tuple[str, str, str, str]) -> Outline:
    heads, size = config["num_attention_heads"], config["head_dim"]
    inner = heads * (width // heads if size is None else size)
    return Outline(
        name="self_attn",
        items=tuple(Linear(name, role, bias=True) for name, role in zip(names, (*QKV, Role.O_PROJ), strict=True)),
        shapes=(*((role, (inner, width)) for role in QKV), (Role.O_PROJ, (width, inner))),
    )


def _convolution(config: Config, width: Size) -> Outline:
    outer, apart = config["ext_pw_out_channel"], config["depthwise_separable_out_channel"]
    many, kernel = width * config["depthwise_multiplier"], config["kernel_size"]
    gate = Outline(
        name="glu",
        items=(Plain("b1", Role.FEATURE_BIAS, leaf=""), Plain("b2", Role.FEATURE_SCALE, leaf="")),
        shapes=tuple((role, (ONE, outer, ONE)) for role in (Role.FEATURE_BIAS, Role.FEATURE_SCALE)),
        inside=(_kernel("ext_pw_conv_1d", (outer * 2, width, ONE)),),
    )
    return Outline(
        name="conv",
        inside=(
            NORM("layer_norm", Role.INPUT_NORM, width),
            gate,
            _kernel("dw_sep_conv_1d.dw_conv", (many, ONE, kernel)),
            _kernel("dw_sep_conv_1d.pw_conv", (apart, many, ONE)),
            _kernel("ext_pw_conv_1d", (outer, width, ONE)),
        ),
    )


def _kernel(name: str, shape: Shape) -> Outline:
    return Outline(name=name, items=(Plain("", Role.CONVOLUTION, bias=True),), shapes=((Role.CONVOLUTION, shape),))


def _matrix(name: str, role: Role, shape: Shape) -> Outline:
    return Outline(name=name, items=(Linear("", role, bias=True),), shapes=((role, shape),))
