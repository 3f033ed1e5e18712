"""FastViT as FastVLM has it, with its branches joined, under timm's names. Source: `fastvit_mci3` of timm 1.0.31."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from weightscope.components.attention import Heads, Segments
from weightscope.components.attention.softmax import Attention
from weightscope.components.base import Component, Repeat
from weightscope.components.batch_norm import BatchNorm
from weightscope.components.norm import LayerNorm
from weightscope.components.vision.fastvit import (
    ActivatedConvolution,
    ChannelScale,
    ConvolvedMLP,
    FastAttentionBlock,
    FastBlock,
    FastViT,
    Squeeze,
    Steps,
)
from weightscope.components.vision.same_convolution import CentredConvolution
from weightscope.components.vision.staged import Stage
from weightscope.config import Config
from weightscope.families.common.causal_lm import numbered
from weightscope.families.common.refusals import require
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.linear import Linear

LAYERS, WIDTHS = (2, 12, 24, 4, 2), (96, 192, 384, 768, 1536)
# Stages from this one on have attention, of heads of so many elements, and a convolution for positions.
ATTENDS, HEAD = 3, 32
COLORS, RATIO, SQUEEZED = 3, 4, 16
# What makes an output channel where each channel is convolved by itself.
ITSELF = Size(1)
MOST = 10_000


def fastvit(config: Config, name: str) -> FastViT:
    """The tower as timm builds it; of timm's arguments `inference_mode`, `layers` and `embed_dims` are declared.

    Raises:
        UndeclaredError: another model, another argument, or branches that are not joined, by name.
        ConfigError: numbers of layers or of channels that no tower has.
    """
    require(config, "FastVLM", {"architecture": "fastvit_mci3"})
    given = dict(config["model_args"] or {})
    if given.pop("inference_mode", False) is not True:
        raise config.undeclared("FastVLM whose tower has branches (without inference_mode of timm) is not declared")
    layers = _numbers(config, given.pop("layers", LAYERS), "layers")
    widths = _numbers(config, given.pop("embed_dims", WIDTHS), "embed_dims")
    if any(width % before for before, width in pairwise(widths)) or any(width % HEAD for width in widths[ATTENDS:]):
        what = f"each a multiple of the one before, from the {ATTENDS + 1}th on of {HEAD}"
        raise config.error(f"{config.prefix}model_args.embed_dims is {widths}, not {what}")
    for key in given:
        raise config.undeclared(f"FastVLM with the argument {key:.60} of timm (model_args) is not declared")
    sizes = [Size(width) for width in widths]
    stages = [_stage(number, *both) for number, both in enumerate(zip(layers, sizes, strict=True))]
    out = sizes[-1] * 2
    return FastViT(
        name=name,
        stem=_stem(sizes[0]),
        stages=tuple(
            Repeat(name="stages", indices=(number,), child=stage, of="part") for number, stage in enumerate(stages)
        ),
        last=_joined("final_conv", Role.CONVOLUTION, ITSELF, out, 3),
        squeeze=Squeeze(
            name="final_conv.se",
            down=_matrix("fc1", Role.DOWN_PROJ, out, out // SQUEEZED),
            up=_matrix("fc2", Role.UP_PROJ, out // SQUEEZED, out),
        ),
    )


def _numbers(config: Config, said: Any, key: str) -> list[int]:
    """One for each stage."""
    numbers = list(said) if isinstance(said, list | tuple) else []
    if len(numbers) != len(LAYERS) or not all(type(number) is int and 0 < number <= MOST for number in numbers):
        what = f"{len(LAYERS)} numbers from 1 to {MOST:,}"
        raise config.error(f"{config.prefix}model_args.{key} is {said!r:.60}, not {what}")
    return numbers


def _stem(width: Size) -> Steps:
    """Halves both sides twice."""
    steps = (
        _joined("stem.0", Role.CONVOLUTION, Size(COLORS), width, 3, 2),
        _joined("stem.1", Role.CONVOLUTION, ITSELF, width, 3, 2),
        _joined("stem.2", Role.CONVOLUTION, width, width, 1),
    )
    return Steps(convolutions=tuple(ActivatedConvolution(convolution=step) for step in steps))


def _stage(number: int, depth: int, outputs: Size) -> Stage:
    """All stages but the first halve both sides."""
    attends = number >= ATTENDS
    block: Component = _attention_block(outputs) if attends else _block(outputs)
    return Stage(
        enter=_entrance(outputs, attends=attends) if number else None, blocks=numbered("blocks", depth, lambda _: block)
    )


def _entrance(width: Size, *, attends: bool) -> Steps:
    """A large kernel for each channel and a matrix, and before attention a kernel that tells where a place lies."""
    halved = _joined("downsample.proj.0", Role.DOWNSAMPLE, ITSELF, width, 7, 2)
    made = _joined("downsample.proj.1", Role.PROJECTOR, width, width, 1)
    placed = _joined("pos_emb", Role.POSITION_EMBEDDING, ITSELF, width, 7)
    return Steps(
        convolutions=(
            ActivatedConvolution(convolution=halved),
            ActivatedConvolution(convolution=made),
            *((placed,) if attends else ()),
        )
    )


def _block(width: Size) -> FastBlock:
    mixer = _joined("token_mixer", Role.CONVOLUTION, ITSELF, width, 3)
    return FastBlock(mixer=mixer, mlp=_mlp(width), scale=ChannelScale(parameter="layer_scale.gamma", size=width))


def _attention_block(width: Size) -> FastAttentionBlock:
    heads = Size(int(width) // HEAD)
    return FastAttentionBlock(
        norm=LayerNorm(name="norm", role=Role.INPUT_NORM, size=width, eps=1e-5),
        attention=Attention(
            name="token_mixer",
            projections=(Linear("qkv", Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ), Linear("proj", Role.O_PROJ, bias=True)),
            width=width,
            heads=Heads(count=heads, keys=heads, size=Size(HEAD)),
            sees=Segments("image"),
        ),
        scales=(
            ChannelScale(parameter="layer_scale_1.gamma", size=width),
            ChannelScale(parameter="layer_scale_2.gamma", size=width),
        ),
        mlp=_mlp(width),
    )


def _mlp(width: Size) -> ConvolvedMLP:
    return ConvolvedMLP(
        name="mlp",
        mixing=CentredConvolution(name="conv.conv", role=Role.CONVOLUTION, inputs=ITSELF, outputs=width, kernel=7),
        norm=BatchNorm(name="conv.bn", size=width),
        up=_matrix("fc1", Role.UP_PROJ, width, width * RATIO),
        down=_matrix("fc2", Role.DOWN_PROJ, width * RATIO, width),
    )


def _matrix(name: str, role: Role, inputs: Size, outputs: Size) -> CentredConvolution:
    return CentredConvolution(name=name, role=role, inputs=inputs, outputs=outputs, bias=True)


def _joined(name: str, role: Role, inputs: Size, outputs: Size, kernel: int, stride: int = 1) -> CentredConvolution:
    """Branches that timm has joined into one convolution."""
    return CentredConvolution(
        name=f"{name}.reparam_conv",
        role=role,
        inputs=inputs,
        outputs=outputs,
        kernel=kernel,
        stride=stride,
        bias=True,
    )
