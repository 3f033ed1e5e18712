"""Florence-2's tower and bridge, as Microsoft published them and as transformers has them."""

from __future__ import annotations

from typing import Any, NamedTuple

from weightscope.components.base import Repeat
from weightscope.components.embedding import Embedding
from weightscope.components.vision.davit import (
    ChannelAttention,
    ConvolutionEmbedding,
    MixingBlock,
    Neighbours,
    PlaneWindows,
    TwoWays,
)
from weightscope.components.vision.davit_eye import Davit, DavitEye, DavitStage, Frames, PlacedBridge
from weightscope.config import Config
from weightscope.families.common import layer_norms
from weightscope.families.common.multimodal import part, replaced
from weightscope.families.common.parts import mlp
from weightscope.families.common.stages import depths_of, scaled, sizes_of
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import StorageItem
from weightscope.storage.linear import Linear, NamedParameter

VISION: dict[str, Any] = {
    "in_channels": 3, "depths": [1, 1, 9, 1], "patch_size": [7, 3, 3, 3], "patch_stride": [4, 2, 2, 2],
    "patch_padding": [3, 1, 1, 1], "patch_prenorm": [False, True, True, True], "embed_dim": [128, 256, 512, 1024],
    "num_heads": [4, 8, 16, 32], "num_groups": [4, 8, 16, 32], "window_size": 12, "mlp_ratio": 4.0, "qkv_bias": True,
    "activation_function": "gelu", "projection_dim": 1024, "max_temporal_embeddings": 100,
    "max_position_embeddings": 50,
}  # fmt: skip
# Of each stage.
SIZES = ("patch_size", "patch_stride", "num_heads", "num_groups")
SOURCES = ["spatial_avg_pool", "temporal_avg_pool"]
NORM = layer_norms(1e-5)
# What ends a text.
END = "</s>"


class Spelling(NamedTuple):
    """Names within the tower: of a stage's convolution, of a layer's norms, convolutions, attention, MLP.

    Then prefixes of tower and bridge, of positions within that, and the bridge's matrix.
    """

    kernel: str
    norms: tuple[str, str]
    convolution: str
    within: str
    mlp: str
    tower: str
    bridge: str
    positions: str
    matrix: StorageItem


PUBLISHED = Spelling(
    "proj", ("{attention}.norm", "ffn.norm"), ".fn.dw", ".fn", "ffn.fn.net", "vision_tower", "", "image_pos_embed",
    NamedParameter("image_projection", Role.PROJECTOR),
)  # fmt: skip
HELD = Spelling(
    "conv", ("norm1", "norm2"), "", "", "ffn", "model.vision_tower", "model.multi_modal_projector",
    "image_position_embed", Linear("image_projection", Role.PROJECTOR),
)  # fmt: skip


def davit_eye(config: Config, spelling: Spelling) -> DavitEye:
    """The tower and the bridge under a spelling."""
    tower, inner = davit(config, spelling), config["max_position_embeddings"]
    width, half = tower.width, tower.width // Size(2)
    outputs = config["projection_dim"]

    def table(name: str, size: Size) -> Embedding:
        return Embedding(name=f"{spelling.positions}.{name}", role=Role.POSITION_EMBEDDING, rows=inner, width=size)

    return DavitEye(
        tower=tower,
        bridge=PlacedBridge(
            name=spelling.bridge,
            matrix=spelling.matrix,
            inputs=width,
            outputs=outputs,
            rows=table("row_embeddings", half),
            columns=table("column_embeddings", width - half),
            frames=Frames(name="visual_temporal_embed", rows=config["max_temporal_embeddings"], width=width),
            norm=NORM("image_proj_norm", Role.PROJECTOR_NORM, outputs),
        ),
        end=END,
    )


def davit(config: Config, spelling: Spelling) -> Davit:
    """A stage for each number of `embed_dim`; other lists have at least as many.

    Raises:
        ConfigError: a list is none, or too short; heads or groups that do not share a width equally.
    """
    widths = sizes_of(config, "embed_dim")
    before = [config["in_channels"], *widths]
    depths = depths_of(config)
    if len(depths) < len(widths):
        raise config.error(f"'depths' has {len(depths):,} sizes for {len(widths):,} stages")
    lists = {key: sizes_of(config, key, len(widths)) for key in SIZES}
    paddings, first = _numbers(config, "patch_padding", len(widths)), _numbers(config, "patch_prenorm", len(widths))
    stages = []
    for number, width in enumerate(widths):
        norms_first = bool(first[number])
        norm = NORM("norm", Role.INPUT_NORM, before[number] if norms_first else width)
        embedding = ConvolutionEmbedding(
            name="",
            kernel_name=spelling.kernel,
            role=Role.DOWNSAMPLE if number else Role.PATCH_EMBEDDING,
            inputs=before[number],
            outputs=width,
            kernel=lists["patch_size"][number],
            stride=lists["patch_stride"][number],
            padding=Size(paddings[number], "patch_padding"),
            before=norm if norms_first else None,
            after=None if norms_first else norm,
        )
        layer = _layer(config, spelling, width, lists["num_heads"][number], lists["num_groups"][number])
        stages.append(
            DavitStage(
                enter=Repeat(name="convs", indices=(number,), child=embedding, of="part"),
                blocks=Repeat(name=f"blocks.{number}", indices=range(depths[number]), child=layer),
            )
        )
    return Davit(name=spelling.tower, stages=tuple(stages))


def _numbers(config: Config, key: str, count: int) -> list[int]:
    """A list of numbers or of yes and no, one a stage at least.

    Raises:
        ConfigError: it is none.
    """
    found = config[key]
    if not all(isinstance(value, int) and 0 <= value < 1 << 16 for value in found) or len(found) < count:
        raise config.error(f"{key!r} is {found!r:.60}, not a number for each of {count:,} stages")
    return [int(value) for value in found]


def _layer(config: Config, spelling: Spelling, width: Size, heads: Size, groups: Size) -> TwoWays:
    for count in (heads, groups):
        if width % count:
            raise config.error(f"{width.text} {width:,} is not a multiple of {count.text} {count:,}")
    bias, size = config["qkv_bias"], config["window_size"]
    windows = PlaneWindows(name=f"window_attn{spelling.within}", width=width, count=heads, size=size, bias=bias)
    channels = ChannelAttention(name=f"channel_attn{spelling.within}", width=width, groups=groups, bias=bias)
    return TwoWays(
        places=_block(config, spelling, "spatial_block", "window_attn", windows, width),
        channels=_block(config, spelling, "channel_block", "channel_attn", channels, width),
    )


def _block(
    config: Config, spelling: Spelling, name: str, attention: str, part: PlaneWindows | ChannelAttention, width: Size
) -> MixingBlock:
    before, between = (norm.format(attention=attention) for norm in spelling.norms)
    return MixingBlock(
        name=name,
        first=Neighbours(name=f"conv1{spelling.convolution}", width=width),
        input_norm=NORM(before, Role.INPUT_NORM, width),
        attention=part,
        second=Neighbours(name=f"conv2{spelling.convolution}", width=width),
        feed_forward_norm=NORM(between, Role.POST_ATTENTION_NORM, width),
        feed_forward=mlp(
            width,
            scaled(width, config["mlp_ratio"], "mlp_ratio"),
            config["activation_function"],
            name=spelling.mlp,
            names=("fc1", "fc2"),
            bias=True,
        ),
    )


def is_first(config: Config) -> bool:
    """Whether the config has the keys of Microsoft's own code."""
    return "dim_embed" in part(config, "vision_config", {})


def vision_of(config: Config) -> Config:
    """The tower's config under transformers' keys.

    Raises:
        UndeclaredError: its positions or its bridge are of another kind.
    """
    said = part(config, "vision_config", {})
    own: dict[str, Any] = {}
    for key, name, kind, number in (
        ("image_pos_embed", "max_position_embeddings", "learned_abs_2d", "max_pos_embeddings"),
        ("visual_temporal_embedding", "max_temporal_embeddings", "COSINE", "max_temporal_embeddings"),
    ):
        told = said.data.get(key)
        if isinstance(told, dict):
            if told.get("type") != kind:
                raise config.undeclared(f"Florence-2 with {key} of type {told.get('type')!r:.60} is not declared")
            own[name] = told.get(number)
    if said.data.get("image_feature_source", SOURCES) != SOURCES:
        raise config.undeclared("Florence-2 with another image_feature_source is not declared")
    return replaced(said, **own).with_defaults(VISION, {"dim_embed": "embed_dim"})
