"""The tower and the bridge of HunyuanOCR. Source: `HunYuanVLVisionConfig` of transformers."""

from __future__ import annotations

from typing import Any, NamedTuple

from weightscope.components.attention import Segments
from weightscope.components.base import Repeat
from weightscope.components.decoder import Block
from weightscope.components.projection import Projection
from weightscope.components.vision.grid_tower import GridTower
from weightscope.components.vision.patches import PatchProjection
from weightscope.components.vision.row_bridge import ConvolvedSquares, RowBridge, SquareConvolution
from weightscope.components.vision.row_eye import ClassedPositions, RowEye
from weightscope.config import Config
from weightscope.families.common import Dims, layer_norms, rms_norms
from weightscope.families.common.parts import four_projections, mlp, self_attention
from weightscope.roles import Role
from weightscope.sizes import Size

VISION: dict[str, Any] = {
    "hidden_act": "gelu", "hidden_size": 1152, "intermediate_size": 4304, "interpolate_mode": "bilinear",
    "rms_norm_eps": 1e-5, "num_attention_heads": 16, "num_channels": 3, "num_hidden_layers": 27, "patch_size": 16,
    "spatial_merge_size": 2, "max_image_size": 2048,
}  # fmt: skip
VISION_NAMES = {"attention_heads": "num_attention_heads", "layer_norm_eps": "rms_norm_eps"}


class Spelling(NamedTuple):
    """Prefixes of the tower and the bridge; names of a layer's norms and matrices, and of convolutions."""

    tower: str
    bridge: str
    norms: tuple[str, str] = ("input_layernorm", "post_attention_layernorm")
    matrices: tuple[str, str] = ("dense_h_to_4h", "dense_4h_to_h")
    convolutions: tuple[str, str] = ("proj.0", "proj.2")


def row_eye(vision: Config, spelling: Spelling, outputs: Size, axes: int) -> RowEye:
    """A norm, convolutions and a matrix bring patches to the language model's width; positions have so many `axes`."""
    rms, width = rms_norms(vision["rms_norm_eps"]), vision["hidden_size"]
    return RowEye(
        tower=_tower(vision, spelling),
        bridge=RowBridge(
            name=spelling.bridge,
            matrix=Projection(name="mlp", inputs=width * 4, outputs=outputs, bias=True),
            norm=rms("after_rms", Role.PROJECTOR_NORM, outputs),
        ),
        axes=axes,
    )


def _tower(vision: Config, spelling: Spelling) -> GridTower:
    s, eye = Dims.of(vision), spelling.tower
    side = vision["max_image_size"] // vision["patch_size"]
    return GridTower(
        name="",
        patches=PatchProjection(
            name=f"{eye}.embeddings",
            width=s.width,
            channels=vision["num_channels"],
            patch=vision["patch_size"],
            bias=True,
            kernel="patch_embedding",
        ),
        positions=ClassedPositions(name=f"{eye}.embeddings.position_embedding", count=side * side, width=s.width),
        blocks=(Repeat(name=f"{eye}.layers", indices=range(s.depth), child=_block(vision, s, spelling)),),
        merger=_squares(vision, spelling),
        merge=int(vision["spatial_merge_size"]),
    )


def _block(vision: Config, s: Dims, spelling: Spelling) -> Block:
    """SigLIP's, under names of its own."""
    norm, (first, second) = layer_norms(vision["rms_norm_eps"]), spelling.norms
    inner, activation = vision["intermediate_size"], vision["hidden_act"]
    return Block(
        input_norm=norm(first, Role.INPUT_NORM, s.width),
        attention=self_attention(s, four_projections(qkv_bias=True, o_bias=True), sees=Segments("frame")),
        feed_forward_norm=norm(second, Role.POST_ATTENTION_NORM, s.width),
        feed_forward=mlp(s.width, inner, activation, names=spelling.matrices, bias=True),
    )


def _squares(vision: Config, spelling: Spelling) -> ConvolvedSquares:
    width, (first, second) = vision["hidden_size"], spelling.convolutions
    return ConvolvedSquares(
        name=spelling.bridge,
        norm=rms_norms(vision["rms_norm_eps"])("before_rms", Role.PROJECTOR_NORM, width),
        first=SquareConvolution(name=first, inputs=width, outputs=width * 2, side=vision["spatial_merge_size"]),
        second=SquareConvolution(name=second, inputs=width * 2, outputs=width * 4, side=Size(1)),
        activation=vision["hidden_act"],
    )
