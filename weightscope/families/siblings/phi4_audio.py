"""Phi-4's ear: a conformer (arXiv 2005.08100) over spectrograms, and two bridges to the language model."""

from __future__ import annotations

from math import log2
from typing import Any, NamedTuple

from msgspec.structs import replace

from weightscope.components.attention import Heads
from weightscope.components.attention.sees import Segments
from weightscope.components.attention.shared_table import SharedTable
from weightscope.components.audio.clip_distances import ClipDistances
from weightscope.components.audio.gated_conformer import (
    ConvolutionStep,
    GatedConformerLayer,
    GatedFrames,
    HalfGatedStep,
    SeparableConvolution,
)
from weightscope.components.audio.heard_attention import Chunks, HeardAttention
from weightscope.components.audio.projected_ear import ProjectedEar, PublishedEar
from weightscope.components.audio.separable_stem import FeatureNorm, Halving, SeparableStem, SmallConvolution
from weightscope.components.audio.tower import CLIP
from weightscope.components.audio.unfolded_tower import UnfoldedTower
from weightscope.components.base import Repeat
from weightscope.components.feed_forward.mlp import GatedMLP
from weightscope.components.projection import Projection
from weightscope.components.vision.projector import Projector
from weightscope.config import Config, Nullable
from weightscope.families.common import depth_of, layer_norms
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.linear import Linear

PHI4_AUDIO: dict[str, Any] = {
    "hidden_size": 1024, "intermediate_size": 1536, "num_blocks": 24, "num_attention_heads": 16,
    "ext_pw_out_channel": 1024, "depthwise_separable_out_channel": 1024, "depthwise_multiplier": 1, "kernel_size": 3,
    "input_size": 80, "time_reduction": 8, "bias_max_distance": 1000, "bias_symmetric": False,
    "nemo_conv_channels": 1024, "downsample_rate": 1, "audio_token_id": 200011, "activation": "swish",
    "conv_activation": "swish", "conv_glu_type": "swish", "nemo_activation": "relu",
    "chunk_size": Nullable(object, -1), "left_chunk": 18,
    # No field of the class, but its attention asks the config for it.
    "head_dim": Nullable(int),
    # No field either: what is left of the bins, which the class works out unless the file says it.
    "nemo_final_size": Nullable(int),
}  # fmt: skip
NORM, ONE, THREE = layer_norms(1e-5), Size(1), Size(3)
QKV = (Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ)
# The most halvings of time.
MAX_HALVINGS = 16


class Names(NamedTuple):
    """Of an attention's matrices, an MLP's, and the projectors' two: for speech alone, then beside images.

    The `kind` of ear has those of the processor's arrays.
    """

    attention: tuple[str, str, str, str]
    mlp: tuple[str, str]
    projectors: tuple[tuple[str, str], tuple[str, str]]
    kind: type[ProjectedEar]


HELD = Names(
    ("q_proj", "k_proj", "v_proj", "o_proj"),
    ("gate_up_proj", "down_proj"),
    (
        ("up_proj_for_speech", "down_proj_for_speech"),
        ("up_proj_for_vision_speech", "down_proj_for_vision_speech"),
    ),
    ProjectedEar,
)
PUBLISHED = Names(
    ("linear_q", "linear_k", "linear_v", "linear_out"),
    ("net.0.linear", "net.2"),
    (
        ("audio_projection.speech.0", "audio_projection.speech.2"),
        ("audio_projection.vision.0", "audio_projection.vision.2"),
    ),
    PublishedEar,
)


def ear(config: Config, outputs: Size, name: str, names: Names, pixels: str) -> ProjectedEar:
    """The tower, and two matrices to the language model's width for each way of use; images come as `pixels`."""
    width = config["hidden_size"] * config["downsample_rate"]
    alone, beside = (
        Projector(
            parts=(
                Projection(name=up, inputs=width, outputs=outputs, bias=True),
                Projection(name=down, inputs=outputs, outputs=outputs, bias=True),
            ),
            activation="gelu",
        )
        for up, down in names.projectors
    )
    return names.kind(name=name, tower=_tower(config, names), alone=alone, beside_images=beside, pixels=pixels)


def _tower(config: Config, names: Names) -> UnfoldedTower:
    """What scales the spectrogram, convolutions, biases by distance, layers."""
    width, heads, farthest = config["hidden_size"], config["num_attention_heads"], config["bias_max_distance"]
    symmetric = bool(config["bias_symmetric"])
    distances = ClipDistances(
        rows=farthest if symmetric else farthest * 2, farthest=int(farthest), symmetric=symmetric, group="frames"
    )
    table = replace(distances, table="bias_values")
    layer = GatedConformerLayer(
        first=_half(config, "feed_forward_in", names.mlp),
        attention_norm=NORM("layer_norm_att", Role.INPUT_NORM, width),
        attention=_attention(config, distances, names.attention),
        convolution=_convolution(config, width),
        last=_half(config, "feed_forward_out", names.mlp),
        norm=NORM("layer_norm", Role.FINAL_NORM, width),
    )
    return UnfoldedTower(
        name="encoder",
        norm=FeatureNorm(name="encoder_embedding", bins=config["input_size"]),
        stem=_stem(config, width),
        distances=SharedTable(name="relative_attention_bias_layer", distances=table, heads=heads),
        blocks=(Repeat(name="encoders", indices=range(depth_of(config, "num_blocks")), child=layer),),
        width=width,
        reduction=int(config["time_reduction"]),
    )


def _stem(config: Config, width: Size) -> SeparableStem:
    """A convolution halves time and bins, then pairs of one for each channel and one over the channels.

    Raises:
        ConfigError: a reduction of time that no halvings make.
    """
    channels, reduction, activation = config["nemo_conv_channels"], config["time_reduction"], config["nemo_activation"]
    count = int(log2(reduction)) if reduction else 0
    if not 0 < count <= MAX_HALVINGS:
        raise config.error(f"'time_reduction' is {reduction:,}, which is no number of halvings")
    first = SmallConvolution(name="conv.0", inputs=ONE, outputs=channels, side=THREE, step=2)
    pairs = tuple(_pair(channels, 2 + 3 * number) for number in range(count - 1))
    bins = config["input_size"]
    for _ in range(count):
        bins = (bins - 1) // 2 + 1
    left = config["nemo_final_size"]
    inputs = channels * (bins if left is None else left)
    return SeparableStem(
        name="embed",
        halvings=tuple(Halving(convolutions=some, activation=activation) for some in ((first,), *pairs)),
        out=Projection(name="out", inputs=inputs, outputs=width, bias=True, role=Role.IN_PROJ),
    )


def _pair(channels: Size, number: int) -> tuple[SmallConvolution, SmallConvolution]:
    """The convolutions of those numbers: of each channel, then over the channels."""
    each = SmallConvolution(name=f"conv.{number}", inputs=channels, outputs=channels, side=THREE, step=2, apart=True)
    return each, SmallConvolution(name=f"conv.{number + 1}", inputs=channels, outputs=channels, side=ONE, step=1)


def _half(config: Config, name: str, names: tuple[str, str]) -> HalfGatedStep:
    width = config["hidden_size"]
    return HalfGatedStep(
        name=name,
        norm=NORM("layer_norm", Role.INPUT_NORM, width),
        mlp=GatedMLP(
            name="",
            items=(
                Linear(names[0], Role.UP_PROJ, Role.GATE_PROJ, bias=True),
                Linear(names[1], Role.DOWN_PROJ, bias=True),
            ),
            width=width,
            inner=config["intermediate_size"],
            activation=config["activation"],
        ),
    )


def _attention(config: Config, distances: ClipDistances, names: tuple[str, str, str, str]) -> HeardAttention:
    """`chunk_size` frames are a chunk; none below 0.

    Raises:
        ConfigError: chunks of no frames.
    """
    width, heads, size = config["hidden_size"], config["num_attention_heads"], config["head_dim"]
    frames = config["chunk_size"]
    if not isinstance(frames, int) or not frames:
        raise config.error(f"'chunk_size' is {frames!r:.60}, not how many frames a chunk has, or -1 for no chunks")
    return HeardAttention(
        name="self_attn",
        projections=tuple(Linear(name, role, bias=True) for name, role in zip(names, (*QKV, Role.O_PROJ), strict=True)),
        width=width,
        heads=Heads(count=heads, keys=heads, size=width // heads if size is None else size),
        positions=distances,
        sees=Segments(CLIP, what="frames"),
        chunks=Chunks(int(frames), int(config["left_chunk"])) if frames > 0 else None,
    )


def _convolution(config: Config, width: Size) -> ConvolutionStep:
    outer = config["ext_pw_out_channel"]
    return ConvolutionStep(
        name="conv",
        norm=NORM("layer_norm", Role.INPUT_NORM, width),
        gate=GatedFrames(name="glu", inputs=width, outputs=outer, activation=config["conv_glu_type"]),
        convolution=SeparableConvolution(
            name="dw_sep_conv_1d",
            width=width,
            kernels=config["depthwise_multiplier"],
            kernel=config["kernel_size"],
            outputs=config["depthwise_separable_out_channel"],
        ),
        activation=config["conv_activation"],
        width=width,
        outputs=outer,
    )
