"""Qwen3-VL and Qwen 3.5: learned positions in the tower, features of its layers for the language model's first ones.

Sources: `Qwen3VLConfig` and `Qwen3_5Config` of transformers, with their mixtures; DeepStack is arXiv 2406.04334.
"""

from __future__ import annotations

from weightscope.components.attention import Segments
from weightscope.components.base import Repeat
from weightscope.components.vision.grid_language import GridVisionLanguage
from weightscope.components.vision.grid_tower import GridTower
from weightscope.components.vision.patches import PatchProjection, StretchedPositions
from weightscope.config import Config
from weightscope.families.common import layer_norms
from weightscope.families.common.parts import mlp
from weightscope.families.registry import family
from weightscope.families.siblings.qwen_vl import (
    PUBLISHED_TOGETHER,
    TOWER,
    TOWER_NAMES,
    WHOLE,
    merger,
    seeing,
    vision_attention,
    vision_block,
)
from weightscope.roles import Role

VISION = TOWER | {
    "depth": 27, "hidden_size": 1152, "hidden_act": "gelu_pytorch_tanh", "intermediate_size": 4304, "patch_size": 16,
    "out_hidden_size": 3584, "num_position_embeddings": 2304, "deepstack_visual_indexes": [8, 16, 24],
}  # fmt: skip
MATRICES = ("linear_fc1", "linear_fc2")


@family("qwen3_vl", roots=tuple(PUBLISHED_TOGETHER), defaults=WHOLE, needs=("text_config", "vision_config"))
def qwen3_vl(config: Config, root: str) -> GridVisionLanguage:
    """What leaves the layers of `deepstack_visual_indexes` is merged as well, its norm after the squares are made."""
    vision = config.nested("vision_config").with_defaults(VISION, TOWER_NAMES)
    return seeing(config, PUBLISHED_TOGETHER[root], lambda name: qwen3_tower(vision, name), "qwen3_vl_text")


@family(
    "qwen3_5",
    roots=tuple(PUBLISHED_TOGETHER),
    defaults=WHOLE | {"image_token_id": 248056, "video_token_id": 248057},
    needs=("text_config", "vision_config"),
)
def qwen3_5(config: Config, root: str) -> GridVisionLanguage:
    """The same tower without the features between."""
    vision = config.nested("vision_config").with_defaults(VISION | {"deepstack_visual_indexes": []}, TOWER_NAMES)
    return seeing(config, PUBLISHED_TOGETHER[root], lambda name: qwen3_tower(vision, name), "qwen3_5_text")


def qwen3_tower(vision: Config, name: str) -> GridTower:
    """Learned positions, biases everywhere, and a merger for each layer of `deepstack_visual_indexes`."""
    width, norm = vision["hidden_size"], layer_norms(1e-6)
    outputs, taps = vision["out_hidden_size"], tuple(int(i) for i in vision["deepstack_visual_indexes"])
    square = vision["spatial_merge_size"] * vision["spatial_merge_size"]
    feed_forward = mlp(width, vision["intermediate_size"], vision["hidden_act"], names=MATRICES, bias=True)
    block = vision_block(norm, width, vision_attention(vision, width, Segments("frame")), feed_forward)
    deep = merger(
        vision, width, outputs, norm("norm", Role.PROJECTOR_NORM, width * square), MATRICES, name="", norms_squares=True
    )
    return GridTower(
        name=name,
        patches=PatchProjection(
            name="patch_embed",
            width=width,
            channels=vision["in_channels"],
            frames=vision["temporal_patch_size"],
            patch=vision["patch_size"],
            bias=True,
        ),
        positions=StretchedPositions(name="pos_embed", count=vision["num_position_embeddings"], width=width),
        blocks=(Repeat(name="blocks", indices=range(vision["depth"]), child=block),),
        merger=merger(vision, width, outputs, norm("norm", Role.PROJECTOR_NORM, width), MATRICES),
        merge=int(vision["spatial_merge_size"]),
        taps=taps,
        deep=Repeat(name="deepstack_merger_list", indices=range(len(taps)), child=deep, of="part") if taps else None,
    )
