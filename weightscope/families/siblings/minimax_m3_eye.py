"""The tower and the bridge of MiniMax-M3. Source: `MiniMaxM3VLVisionModel` of transformers."""

from __future__ import annotations

from typing import Any, NamedTuple

from weightscope.components.attention import Segments
from weightscope.components.attention.axial import AxialFilm
from weightscope.components.base import Repeat
from weightscope.components.decoder import Block
from weightscope.components.projection import Projection
from weightscope.components.vision.grid_tower import GridTower
from weightscope.components.vision.merger import PatchMerger, ProjectedMerger
from weightscope.components.vision.patches import PatchProjection
from weightscope.components.vision.projector import Projector
from weightscope.config import Config, Nullable
from weightscope.families.common import Dims, layer_norms
from weightscope.families.common.multimodal import part
from weightscope.families.common.parts import linears, self_attention
from weightscope.families.siblings.siglip import PROJECTIONS, siglip_mlp
from weightscope.families.siblings.towers import vision_theta
from weightscope.roles import Role
from weightscope.sizes import Size

VISION: dict[str, Any] = {
    "hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32, "num_attention_heads": 16,
    "num_channels": 3, "patch_size": 14, "temporal_patch_size": 2, "spatial_merge_size": 2, "hidden_act": "gelu",
    "layer_norm_eps": 1e-5, "rope_theta": 10000.0, "rope_parameters": Nullable(dict),
}  # fmt: skip


class Spelling(NamedTuple):
    """Prefixes of the language model, of its decoder within it and of the tower; names of parts of tower and bridge."""

    language: str
    decoder: str
    tower: str
    kernel: str
    layers: str
    projector: str
    squares: tuple[str, str]


SPELLINGS = {
    "as published": Spelling(
        "language_model", "model", "vision_tower.vision_model", "patch_embedding", "encoder.layers",
        "multi_modal_projector", ("patch_merge_mlp.linear_1", "patch_merge_mlp.linear_2"),
    ),
    "as transformers 5 holds it": Spelling(
        "", "model.language_model", "model.vision_tower", "proj", "layers", "model.multi_modal_projector",
        ("model.multi_modal_projector.merge_linear_1", "model.multi_modal_projector.merge_linear_2"),
    ),
}  # fmt: skip


def tower(config: Config, spelling: Spelling, outputs: Size) -> GridTower:
    """CLIP's layers, which turn by row and column; the bridge lies beside the tower.

    Raises:
        ConfigError: heads that do not share the width.
    """
    vision, name = part(config, "vision_config", VISION), spelling.tower
    s, norm = Dims.of(vision), layer_norms(vision["layer_norm_eps"])
    if s.width % s.heads.count:
        raise vision.error(f"{s.width.text} {s.width:,} must be a multiple of {s.heads.count.text} ({s.heads.count:,})")
    block = Block(
        input_norm=norm("layer_norm1", Role.INPUT_NORM, s.width),
        attention=self_attention(
            s,
            linears(PROJECTIONS, bias=True),
            positions=AxialFilm(dim=int(s.head_dim), theta=vision_theta(vision)),
            sees=Segments("frame"),
        ),
        feed_forward_norm=norm("layer_norm2", Role.POST_ATTENTION_NORM, s.width),
        feed_forward=siglip_mlp(vision, s),
    )
    return GridTower(
        name="",
        patches=PatchProjection(
            name=f"{name}.embeddings",
            width=s.width,
            channels=vision["num_channels"],
            frames=vision["temporal_patch_size"],
            patch=vision["patch_size"],
            bias=False,
            kernel=spelling.kernel,
        ),
        pre_norm=norm(f"{name}.pre_layrnorm", Role.EMBEDDING_NORM, s.width),
        blocks=(Repeat(name=f"{name}.{spelling.layers}", indices=range(s.depth), child=block),),
        merger=merger(config, spelling, s.width, outputs, vision["spatial_merge_size"]),
        merge=int(vision["spatial_merge_size"]),
    )


def merger(config: Config, spelling: Spelling, inputs: Size, outputs: Size, merge: Size) -> ProjectedMerger:
    """Two matrices on each patch, and two on each square of them."""
    inner, square = config["projector_hidden_size"], merge * merge
    first, second = spelling.squares
    return ProjectedMerger(
        projector=Projector(
            name=spelling.projector,
            parts=(
                Projection(name="linear_1", inputs=inputs, outputs=inner, bias=True),
                Projection(name="linear_2", inputs=inner, outputs=outputs, bias=True),
            ),
            activation="gelu",
        ),
        squares=PatchMerger(
            norm=None,
            first=Projection(name=first, inputs=outputs * square, outputs=inner, bias=True),
            second=Projection(name=second, inputs=inner, outputs=outputs, bias=True),
            activation="gelu",
            square=int(square),
        ),
    )
