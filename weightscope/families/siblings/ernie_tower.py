"""The tower and the bridge of ERNIE 4.5 VL. Source: `Ernie4_5_VLMoeVisionConfig` of transformers."""

from __future__ import annotations

from typing import Any, NamedTuple

from weightscope.components.attention import Segments
from weightscope.components.base import Repeat
from weightscope.components.norm import Norm
from weightscope.components.projection import Projection
from weightscope.components.vision.film_merger import FilmMerger, NormedPair
from weightscope.components.vision.grid_tower import GridTower
from weightscope.components.vision.patches import FlatPatches
from weightscope.config import Config
from weightscope.families.common import depth_of, layer_norms
from weightscope.families.common.parts import mlp
from weightscope.families.siblings.qwen_vl import TOWER, vision_attention, vision_block
from weightscope.roles import Role
from weightscope.sizes import Size

VISION: dict[str, Any] = TOWER | {
    "hidden_size": 1280, "intermediate_size": 5120, "hidden_act": "quick_gelu", "temporal_merge_size": 2,
    "rms_norm_eps": 1e-6,
}  # fmt: skip


class Spelling(NamedTuple):
    """Prefixes of tower, bridge, language model and its decoder; names of a pair's matrices and norm."""

    tower: str
    bridge: str
    language: str
    decoder: str
    pair: tuple[str, str, str]


def tower(vision: Config, spelling: Spelling, after: Norm) -> GridTower:
    """The bridge lies beside the tower; `after` is its last norm, as wide as the language model."""
    width, norm, eye = vision["hidden_size"], layer_norms(vision["rms_norm_eps"]), spelling.tower
    feed_forward = mlp(width, vision["intermediate_size"], vision["hidden_act"], names=("fc1", "fc2"), bias=True)
    block = vision_block(norm, width, vision_attention(vision, width, Segments("frame")), feed_forward)
    square = vision["spatial_merge_size"] * vision["spatial_merge_size"]
    inner = width * square
    return GridTower(
        name="",
        patches=FlatPatches(
            name=f"{eye}.patch_embed",
            width=width,
            channels=vision["in_channels"],
            patch=vision["patch_size"],
            bias=False,
        ),
        blocks=(Repeat(name=f"{eye}.blocks", indices=range(depth_of(vision, "depth")), child=block),),
        post_norm=norm(f"{eye}.ln", Role.FINAL_NORM, width),
        merger=FilmMerger(
            name=spelling.bridge,
            space=_pair(vision, "spatial_linear", spelling.pair, inner, inner),
            time=_pair(vision, "temporal_linear", spelling.pair, inner * vision["temporal_merge_size"], inner),
            out=Projection(name="mlp", inputs=inner, outputs=after.size, bias=True),
            norm=after,
            square=int(square),
        ),
        merge=int(vision["spatial_merge_size"]),
    )


def _pair(vision: Config, name: str, names: tuple[str, str, str], inputs: Size, outputs: Size) -> NormedPair:
    first, second, last = (f"{name}.{part}" for part in names)
    return NormedPair(
        first=Projection(name=first, inputs=inputs, outputs=outputs, bias=True),
        second=Projection(name=second, inputs=outputs, outputs=outputs, bias=True),
        norm=layer_norms(vision["rms_norm_eps"])(last, Role.PROJECTOR_NORM, outputs),
    )
