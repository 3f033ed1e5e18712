"""The tower and the bridge of PaddleOCR-VL. Source: `PaddleOCRVisionConfig` of transformers."""

from __future__ import annotations

from typing import Any

from weightscope.components.attention import Segments
from weightscope.components.attention.axial import Axial
from weightscope.components.attention.softmax import Attention
from weightscope.components.base import Repeat
from weightscope.components.decoder import Block
from weightscope.components.norm import LayerNorm
from weightscope.components.projection import Projection
from weightscope.components.unused import Unused
from weightscope.components.vision.grid_tower import GridTower
from weightscope.components.vision.merger import PatchMerger
from weightscope.components.vision.raster import CentredPositions, PlanePatches
from weightscope.config import Config, Nullable
from weightscope.families.common import Dims, layer_norms, rotary
from weightscope.families.common.multimodal import part
from weightscope.families.common.parts import linears, mlp
from weightscope.roles import Role
from weightscope.sizes import Size

VISION: dict[str, Any] = {
    "hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27, "num_attention_heads": 16,
    "num_channels": 3, "image_size": 384, "patch_size": 14, "hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-6,
    "spatial_merge_size": 2, "rope_theta": 10000.0, "rope_parameters": Nullable(dict),
}  # fmt: skip
PROJECTIONS = {"q_proj": Role.Q_PROJ, "k_proj": Role.K_PROJ, "v_proj": Role.V_PROJ, "out_proj": Role.O_PROJ}


def tower(config: Config, eye: str, bridge: str, outputs: Size) -> GridTower:
    """The bridge lies beside the tower."""
    vision = part(config, "vision_config", VISION)
    s, norm, side = Dims.of(vision), layer_norms(vision["layer_norm_eps"]), vision["image_size"] // vision["patch_size"]
    if s.head_dim % 4:
        raise vision.error(f"heads of {s.head_dim:,} elements ({s.head_dim.text}) are not a multiple of 4")
    square = vision["spatial_merge_size"] * vision["spatial_merge_size"]
    inner, channels, patch = s.width * square, vision["num_channels"], vision["patch_size"]
    block = Block(
        input_norm=norm("layer_norm1", Role.INPUT_NORM, s.width),
        attention=Attention(
            name="self_attn",
            projections=linears(PROJECTIONS, bias=True),
            width=s.width,
            heads=s.heads,
            positions=Axial(dim=int(s.head_dim), theta=rotary(vision, s.head_dim).theta),
            sees=Segments("frame"),
        ),
        feed_forward_norm=norm("layer_norm2", Role.POST_ATTENTION_NORM, s.width),
        feed_forward=mlp(s.width, vision["intermediate_size"], vision["hidden_act"], names=("fc1", "fc2"), bias=True),
    )
    return GridTower(
        name="",
        patches=PlanePatches(
            name=f"{eye}.embeddings", width=s.width, channels=channels, frames=Size(1), patch=patch, bias=True
        ),
        positions=CentredPositions(name=f"{eye}.embeddings.position_embedding", count=side * side, width=s.width),
        blocks=(Repeat(name=f"{eye}.encoder.layers", indices=range(s.depth), child=block),),
        post_norm=norm(f"{eye}.post_layernorm", Role.FINAL_NORM, s.width),
        merger=PatchMerger(
            name=bridge,
            norm=LayerNorm(name="pre_norm", role=Role.PROJECTOR_NORM, size=s.width, eps=1e-5),
            first=Projection(name="linear_1", inputs=inner, outputs=inner, bias=True),
            second=Projection(name="linear_2", inputs=inner, outputs=outputs, bias=True),
            activation="gelu",
            square=int(square),
        ),
        merge=int(vision["spatial_merge_size"]),
    )


def left_over(config: Config, eye: str) -> Unused:
    """What the published checkpoint has of SigLIP and the model does not use: a pooling head, positions of packs."""
    vision = part(config, "vision_config", VISION)
    width, inner = vision["hidden_size"], vision["intermediate_size"]
    shapes = {
        "embeddings.packing_position_embedding.weight": (Size(32768), width),
        "head.probe": (Size(1), Size(1), width),
        "head.attention.in_proj_weight": (3 * width, width), "head.attention.in_proj_bias": (3 * width,),
        "head.attention.out_proj.weight": (width, width), "head.attention.out_proj.bias": (width,),
        "head.layernorm.weight": (width,), "head.layernorm.bias": (width,),
        "head.mlp.fc1.weight": (inner, width), "head.mlp.fc1.bias": (inner,),
        "head.mlp.fc2.weight": (width, inner), "head.mlp.fc2.bias": (width,),
    }  # fmt: skip
    return Unused(name=eye, shapes=tuple(shapes.items()))
