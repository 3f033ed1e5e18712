"""The audio tower of Gemma 4, a conformer (arXiv 2005.08100): named and counted, and no pass uses it."""

from __future__ import annotations

from typing import Any

from weightscope.components.base import Component, Repeat
from weightscope.components.outline import Outline
from weightscope.config import Config
from weightscope.families.common import depth_of, rms_norms
from weightscope.families.common.numbers import layer_numbers
from weightscope.roles import Role, Section
from weightscope.sizes import Size, size
from weightscope.storage.base import StorageItem
from weightscope.storage.clipped import ClippedLinear
from weightscope.storage.linear import Linear
from weightscope.storage.plain import Plain

GEMMA4_AUDIO: dict[str, Any] = {
    "hidden_size": 1024, "num_hidden_layers": 12, "num_attention_heads": 8, "subsampling_conv_channels": [128, 32],
    "conv_kernel_size": 5, "use_clipped_linears": True, "rms_norm_eps": 1e-6, "output_proj_dims": 1536,
}  # fmt: skip


def conformer(config: Config, name: str) -> Outline:
    """Two convolutions, layers of attention and convolution between two MLPs, and a matrix.

    Raises:
        ConfigError: another number of convolutions.
    """
    width, heads = config["hidden_size"], config["num_attention_heads"]
    channels = tuple(map(size, layer_numbers(config, "subsampling_conv_channels")))
    if len(channels) != 2:
        raise config.error(f"subsampling_conv_channels has {len(channels)} numbers, not 2")
    matrices = Matrices(clipped=config["use_clipped_linears"])
    layer = Outline(
        inside=(
            _mlp("feed_forward1", width, matrices),
            _attention(width, heads, matrices),
            _convolution(width, config["conv_kernel_size"], matrices),
            _mlp("feed_forward2", width, matrices),
            *(NORM(norm, Role.NORM, width) for norm in ("norm_pre_attn", "norm_post_attn", "norm_out")),
        )
    )
    return Outline(
        name=name,
        section=Section.AUDIO,
        inside=(
            _stem(channels, width),
            Repeat(name="layers", indices=range(depth_of(config)), child=layer),
            Outline(
                items=(Linear("output_proj", Role.OUT_PROJ, bias=True),),
                shapes=((Role.OUT_PROJ, (config["output_proj_dims"], width)),),
            ),
        ),
    )


NORM = rms_norms(1e-6)


class Matrices:
    """The items of matrices that are bounded, or not."""

    def __init__(self, *, clipped: bool) -> None:
        self.clipped = clipped

    def __call__(self, name: str, role: Role) -> StorageItem:
        """One matrix; its module holds it as `linear` either way."""
        return ClippedLinear(name, role) if self.clipped else Linear(f"{name}.linear", role)


def _stem(channels: tuple[Size, ...], width: Size) -> Outline:
    first, second = channels
    convolutions = [
        Outline(
            name=f"layer{number}",
            items=(Plain("conv", Role.CONVOLUTION), Plain("norm", Role.NORM)),
            shapes=((Role.CONVOLUTION, (made, taken, Size(3), Size(3))), (Role.NORM, (made,))),
        )
        for number, (taken, made) in enumerate(((Size(1), first), (first, second)))
    ]
    joined = Outline(
        items=(Linear("input_proj_linear", Role.IN_PROJ),), shapes=((Role.IN_PROJ, (width, first // 4 * second)),)
    )
    return Outline(name="subsample_conv_projection", inside=(*convolutions, joined))


def _mlp(name: str, width: Size, matrices: Matrices) -> Outline:
    return Outline(
        name=name,
        items=(matrices("ffw_layer_1", Role.UP_PROJ), matrices("ffw_layer_2", Role.DOWN_PROJ)),
        shapes=((Role.UP_PROJ, (width * 4, width)), (Role.DOWN_PROJ, (width, width * 4))),
        inside=(NORM("pre_layer_norm", Role.INPUT_NORM, width), NORM("post_layer_norm", Role.NORM, width)),
    )


def _attention(width: Size, heads: Size, matrices: Matrices) -> Component:
    inner = heads * (width // heads)
    return Outline(
        name="self_attn",
        items=(
            *(matrices(f"{word}_proj", role) for word, role in zip("qkv", QKV, strict=True)),
            matrices("post", Role.O_PROJ),
            Linear("relative_k_proj", Role.RELATIVE_K_PROJ),
            Plain("per_dim_scale", Role.QUERY_SCALE, leaf=""),
        ),
        shapes=(
            *((role, (inner, width)) for role in (*QKV, Role.RELATIVE_K_PROJ)),
            (Role.O_PROJ, (width, width)),
            (Role.QUERY_SCALE, (width // heads,)),
        ),
    )


QKV = (Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ)


def _convolution(width: Size, kernel: Size, matrices: Matrices) -> Outline:
    return Outline(
        name="lconv1d",
        items=(
            matrices("linear_start", Role.IN_PROJ),
            Plain("depthwise_conv1d", Role.CONVOLUTION),
            matrices("linear_end", Role.OUT_PROJ),
        ),
        shapes=(
            (Role.IN_PROJ, (width * 2, width)),
            (Role.CONVOLUTION, (width, Size(1), kernel)),
            (Role.OUT_PROJ, (width, width)),
        ),
        inside=(NORM("pre_layer_norm", Role.INPUT_NORM, width), NORM("conv_norm", Role.NORM, width)),
    )
