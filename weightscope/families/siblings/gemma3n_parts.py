"""Gemma 3n's audio tower, and what brings images and audio to the language model: named and counted."""

from __future__ import annotations

from typing import Any

from weightscope.components.base import Component, Repeat
from weightscope.components.outline import Outline
from weightscope.config import Config, Nullable
from weightscope.families.common import depth_of, rms_norms
from weightscope.families.common.numbers import layer_numbers
from weightscope.roles import Role, Section
from weightscope.sizes import Size, size
from weightscope.storage.linear import Linear
from weightscope.storage.plain import Plain

VISION: dict[str, Any] = {
    "architecture": "mobilenetv5_300m_enc", "model_args": Nullable(dict), "hidden_size": 2048, "vocab_size": 128,
    "vocab_offset": 262144, "rms_norm_eps": 1e-6,
}  # fmt: skip
AUDIO: dict[str, Any] = {
    "vocab_size": 128, "input_feat_size": 128, "hidden_size": 1536, "rms_norm_eps": 1e-6,
    "conf_num_attention_heads": 8, "conf_num_hidden_layers": 12, "conf_conv_kernel_size": 5,
    "sscp_conv_channel_size": [128, 32], "sscp_conv_kernel_size": [[3, 3], [3, 3]],
    "sscp_conv_stride_size": [[2, 2], [2, 2]],
}  # fmt: skip
NORM = rms_norms(1e-6)
QKV = (Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ)


def embedder(config: Config, name: str, language: Size) -> Outline:
    """A table of tokens, norms of what comes from it and from the tower, and one matrix for both."""
    width = config["hidden_size"]
    return Outline(
        name=name,
        section=Section.PROJECTOR,
        items=(Plain("embedding", Role.TOKEN_EMBEDDING), Linear("embedding_projection", Role.PROJECTOR)),
        shapes=(
            (Role.TOKEN_EMBEDDING, (config["vocab_size"], width)),
            (Role.PROJECTOR, (language, width)),
        ),
        inside=(
            NORM("hard_embedding_norm", Role.EMBEDDING_NORM, width),
            NORM("soft_embedding_norm", Role.PROJECTOR_NORM, width),
        ),
    )


def conformer(config: Config, name: str) -> Outline:
    """Two convolutions, then layers of attention and convolution between two MLPs."""
    width = config["hidden_size"]
    layer = Outline(
        inside=(
            _mlp("ffw_layer_start", width),
            _attention(width, config["conf_num_attention_heads"]),
            _convolution(width, config["conf_conv_kernel_size"]),
            _mlp("ffw_layer_end", width),
            NORM("norm", Role.NORM, width),
        )
    )
    depth = depth_of(config, "conf_num_hidden_layers")
    return Outline(
        name=name,
        section=Section.AUDIO,
        inside=(_stem(config, width), Repeat(name="conformer", indices=range(depth), child=layer)),
    )


def _stem(config: Config, width: Size) -> Outline:
    """The frequencies that each convolution leaves decide how wide the matrix after them is."""
    channels = tuple(map(size, layer_numbers(config, "sscp_conv_channel_size")))
    kernels, strides = _pairs(config, "sscp_conv_kernel_size"), _pairs(config, "sscp_conv_stride_size")
    if len(channels) != 2 or len(kernels) != 2 or len(strides) != 2:
        raise config.error("sscp_conv_channel_size, sscp_conv_kernel_size and sscp_conv_stride_size need two of each")
    taken, frequencies, convolutions = Size(1), config["input_feat_size"], []
    for number, made in enumerate(channels):
        kernel, stride = kernels[number], strides[number]
        frequencies = (frequencies + 2 - kernel[1]) // stride[1] + 1
        convolutions.append(
            Outline(
                name=f"conv_{number}",
                items=(Plain("conv", Role.CONVOLUTION), Plain("norm", Role.NORM)),
                shapes=((Role.CONVOLUTION, (made, taken, *map(size, kernel))), (Role.NORM, (made,))),
            )
        )
        taken = made
    joined = Outline(
        items=(Linear("input_proj_linear", Role.IN_PROJ),), shapes=((Role.IN_PROJ, (width, taken * frequencies)),)
    )
    return Outline(name="subsample_conv_projection", inside=(*convolutions, joined))


def _pairs(config: Config, key: str) -> list[list[int]]:
    """Two whole numbers for each convolution.

    Raises:
        ConfigError: they are something else.
    """
    found = config[key]
    for pair in found:
        if not isinstance(pair, list) or len(pair) != 2 or not all(type(n) is int and n > 0 for n in pair):
            raise config.error(f"{config.prefix}{key} is {found!r:.60}, not pairs of whole numbers")
    return list(found)


def _mlp(name: str, width: Size) -> Outline:
    return Outline(
        name=name,
        items=(Linear("ffw_layer_1", Role.UP_PROJ), Linear("ffw_layer_2", Role.DOWN_PROJ)),
        shapes=((Role.UP_PROJ, (width * 4, width)), (Role.DOWN_PROJ, (width, width * 4))),
        inside=(NORM("pre_layer_norm", Role.INPUT_NORM, width), NORM("post_layer_norm", Role.NORM, width)),
    )


def _attention(width: Size, heads: Size) -> Component:
    inner = heads * (width // heads)
    attention = Outline(
        name="attn",
        items=(
            *(Linear(f"{word}_proj", role) for word, role in zip("qkv", QKV, strict=True)),
            Linear("relative_position_embedding.pos_proj", Role.RELATIVE_K_PROJ),
            Plain("per_dim_scale", Role.QUERY_SCALE, leaf=""),
        ),
        shapes=(
            *((role, (inner, width)) for role in (*QKV, Role.RELATIVE_K_PROJ)),
            (Role.QUERY_SCALE, (width // heads,)),
        ),
    )
    return Outline(
        name="attention",
        items=(Linear("post", Role.O_PROJ),),
        shapes=((Role.O_PROJ, (width, width)),),
        inside=(
            NORM("pre_attn_norm", Role.INPUT_NORM, width),
            attention,
            NORM("post_norm", Role.POST_ATTENTION_NORM, width),
        ),
    )


def _convolution(width: Size, kernel: Size) -> Outline:
    return Outline(
        name="lconv1d",
        items=(
            Linear("linear_start", Role.IN_PROJ),
            Plain("depthwise_conv1d", Role.CONVOLUTION),
            Linear("linear_end", Role.OUT_PROJ),
        ),
        shapes=(
            (Role.IN_PROJ, (width * 2, width)),
            (Role.CONVOLUTION, (width, Size(1), kernel)),
            (Role.OUT_PROJ, (width, width)),
        ),
        inside=(NORM("pre_layer_norm", Role.INPUT_NORM, width), NORM("conv_norm", Role.NORM, width)),
    )
