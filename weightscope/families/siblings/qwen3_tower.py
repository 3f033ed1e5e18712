"""The vision tower of Qwen3-VL and Qwen 3.5: learned positions, features of its layers (arXiv 2406.04334).

Sources: `Qwen3VLVisionConfig` and `Qwen3_5VisionConfig` of transformers.
"""

from __future__ import annotations

from typing import NamedTuple

from weightscope.components.attention import Segments
from weightscope.components.base import Repeat
from weightscope.components.vision.grid_tower import GridTower
from weightscope.components.vision.patches import StretchedPositions
from weightscope.config import Config
from weightscope.families.common import layer_norms
from weightscope.families.common.numbers import layer_numbers
from weightscope.families.common.parts import mlp
from weightscope.families.siblings.qwen_vl import TOWER, TOWER_NAMES, merger, patches, vision_attention, vision_block
from weightscope.roles import Role

VISION = TOWER | {
    "depth": 27, "hidden_size": 1152, "hidden_act": "gelu_pytorch_tanh", "intermediate_size": 4304, "patch_size": 16,
    "out_hidden_size": 3584, "num_position_embeddings": 2304, "deepstack_visual_indexes": [],
}  # fmt: skip
MATRICES = ("linear_fc1", "linear_fc2")


class Mergers(NamedTuple):
    """Names of a merger's norm and matrices, and of the list of those for the layers' features."""

    norm: str
    matrices: tuple[str, str]
    deep: str


USUAL = Mergers("norm", MATRICES, "deepstack_merger_list")


def qwen3_tower(config: Config, name: str, taps: tuple[int, ...] = (), names: Mergers = USUAL) -> GridTower:
    """The tower of `vision_config`: biases everywhere, and a merger for each layer of `deepstack_visual_indexes`.

    `taps` are the class's own where the config has none.
    """
    vision = config.nested("vision_config").with_defaults(
        VISION | {"deepstack_visual_indexes": list(taps)}, TOWER_NAMES
    )
    width, norm = vision["hidden_size"], layer_norms(1e-6)
    outputs = vision["out_hidden_size"]
    taps = layer_numbers(vision, "deepstack_visual_indexes")
    square = vision["spatial_merge_size"] * vision["spatial_merge_size"]
    feed_forward = mlp(width, vision["intermediate_size"], vision["hidden_act"], names=MATRICES, bias=True)
    block = vision_block(norm, width, vision_attention(vision, width, Segments("frame")), feed_forward)
    deep = merger(
        vision,
        width,
        outputs,
        norm(names.norm, Role.PROJECTOR_NORM, width * square),
        names.matrices,
        name="",
        norms_squares=True,
    )
    return GridTower(
        name=name,
        patches=patches(vision, width, bias=True),
        positions=StretchedPositions(name="pos_embed", count=vision["num_position_embeddings"], width=width),
        blocks=(Repeat(name="blocks", indices=range(vision["depth"]), child=block),),
        merger=merger(vision, width, outputs, norm(names.norm, Role.PROJECTOR_NORM, width), names.matrices),
        merge=int(vision["spatial_merge_size"]),
        taps=taps,
        deep=Repeat(name=names.deep, indices=range(len(taps)), child=deep, of="part") if taps else None,
    )
