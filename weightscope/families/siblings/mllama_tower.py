"""The tower of Llama 3.2 Vision. Source: `MllamaVisionConfig` of transformers."""

from __future__ import annotations

from typing import Any

from weightscope.components.attention import Segments
from weightscope.components.attention.heads import Heads
from weightscope.components.attention.softmax import Attention
from weightscope.components.base import Repeat
from weightscope.components.gated_block import GatedBlock
from weightscope.components.vision.tile_positions import GatedPositions, TilePositions
from weightscope.components.vision.tiled_tower import TiledTower
from weightscope.config import Config, Nullable
from weightscope.families.common import layer_norms
from weightscope.families.common.dims import depth_of
from weightscope.families.common.numbers import layer_numbers
from weightscope.families.common.parts import four_projections, mlp, pre_norm_block
from weightscope.roles import Role
from weightscope.sizes import Size

VISION: dict[str, Any] = {
    "hidden_size": 1280, "hidden_act": "gelu", "num_hidden_layers": 32, "num_global_layers": 8, "attention_heads": 16,
    "num_channels": 3, "intermediate_size": 5120, "vision_output_dim": 7680, "image_size": 448, "patch_size": 14,
    "norm_eps": 1e-5, "max_num_tiles": 4,
    "intermediate_layers_indices": Nullable(list, [3, 7, 15, 23, 30], fills=True),
    "supported_aspect_ratios": Nullable(list, fills=True),
}  # fmt: skip
VISION_NAMES = {"num_attention_heads": "attention_heads"}
# Rows and columns of the arrangements of four tiles.
USUAL = [[1, 1], [1, 2], [1, 3], [1, 4], [2, 1], [2, 2], [3, 1], [4, 1]]


def tower(vision: Config, name: str) -> TiledTower:
    """The norms around the layers have an eps of their own.

    Raises:
        ConfigError: layers that are not there; a number of tiles that no arrangement is known for.
    """
    width, heads, depth = vision["hidden_size"], vision["attention_heads"], depth_of(vision)
    ratios, tiles = vision["supported_aspect_ratios"], vision["max_num_tiles"]
    ratios = USUAL if ratios is None else ratios
    if ratios == USUAL and tiles != 4:
        raise vision.error(f"max_num_tiles is {tiles:,}, and the usual supported_aspect_ratios are for 4")
    arrangements = Size(len(ratios) + 1, "supported_aspect_ratios")
    side = vision["image_size"] // vision["patch_size"]
    norm, around = layer_norms(vision["norm_eps"]), layer_norms(1e-5)
    attention = Attention(
        name="self_attn",
        projections=four_projections(),
        width=width,
        heads=Heads(count=heads, keys=heads, size=width // heads),
        sees=Segments("image"),
    )
    feed_forward = mlp(width, vision["intermediate_size"], vision["hidden_act"], names=("fc1", "fc2"), bias=True)
    plain = pre_norm_block(norm, width, attention=attention, feed_forward=feed_forward)
    gated = GatedBlock(
        input_norm=plain.input_norm,
        attention=attention,
        feed_forward_norm=plain.feed_forward_norm,
        feed_forward=feed_forward,
        gates=("gate_attn", "gate_ffn"),
    )

    def placed(which: str) -> TilePositions:
        return TilePositions(
            name=f"{which}_tile_positional_embedding", arrangements=arrangements, tiles=tiles, width=width
        )

    return TiledTower(
        name=name,
        width=width,
        channels=vision["num_channels"],
        image=vision["image_size"],
        patch=vision["patch_size"],
        tiles=tiles,
        before=placed("pre"),
        positions=GatedPositions(
            name="gated_positional_embedding",
            arrangements=arrangements,
            tiles=tiles,
            positions=side * side + 1,
            width=width,
        ),
        pre_norm=around("layernorm_pre", Role.EMBEDDING_NORM, width),
        blocks=Repeat(name="transformer.layers", indices=range(depth), child=plain),
        post_norm=around("layernorm_post", Role.FINAL_NORM, width),
        after=placed("post"),
        global_blocks=Repeat(
            name="global_transformer.layers",
            indices=range(depth_of(vision, "num_global_layers")),
            child=gated,
        ),
        taps=taps(vision, depth),
    )


def taps(vision: Config, depth: int) -> tuple[int, ...]:
    """The layers whose output is used, counted from the last where they are negative."""
    found = layer_numbers(vision, "intermediate_layers_indices")
    if any(not -depth <= layer < depth for layer in found):
        raise vision.error(f"intermediate_layers_indices has a layer that is not there: {list(found)!s:.60}")
    return tuple(layer % depth for layer in found)
