"""The tower of Step 3.7 and its bridge. Source: `Step3p7VisionModel` of transformers."""

from __future__ import annotations

from typing import Any, NamedTuple

from weightscope.components.attention import Segments
from weightscope.components.attention.axial import Axial
from weightscope.components.base import Repeat
from weightscope.components.decoder import Block
from weightscope.components.layer_scale import LayerScale
from weightscope.components.projection import Projection
from weightscope.components.vision.convolved import Convolved
from weightscope.components.vision.sam_eye import HalvingBridge
from weightscope.components.vision.stretched_encoder import StretchedEncoder, StretchedPatches
from weightscope.config import Config, Nullable
from weightscope.families.common import Dims, layer_norms
from weightscope.families.common.parts import linears, mlp, self_attention
from weightscope.families.siblings.siglip import PROJECTIONS
from weightscope.families.siblings.towers import axial_theta
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import StorageItem
from weightscope.storage.linear import InProjection, Linear

VISION: dict[str, Any] = {
    "hidden_size": 1536, "num_hidden_layers": 47, "num_attention_heads": 16, "num_channels": 3, "image_size": 728,
    "patch_size": 14, "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5, "mlp_ratio": 8960 / 1536,
    "rope_theta": 10000.0, "rope_parameters": Nullable(dict),
}  # fmt: skip
VISION_NAMES = {"width": "hidden_size", "layers": "num_hidden_layers", "heads": "num_attention_heads"}


class Names(NamedTuple):
    """How a tower and its bridge are spelled; `interleaved` is how its queries and keys lie in their heads."""

    tower: str
    patches: tuple[str, str, str, str]
    pre_norm: str
    layers: str
    attention: str
    projections: tuple[StorageItem, ...]
    norms: tuple[str, str]
    scales: tuple[str, str]
    mlp: tuple[str, str]
    bridge: str
    halving: tuple[str, str]
    interleaved: bool


PUBLISHED = Names(
    tower="vision_model",
    patches=("", "conv1", "positional_embedding", ""),
    pre_norm="ln_pre",
    layers="transformer.resblocks",
    attention="attn",
    projections=(
        InProjection("in_proj", Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ, bias=True),
        Linear("out_proj", Role.O_PROJ, bias=True),
    ),
    norms=("ln_1", "ln_2"),
    scales=("ls_1.gamma", "ls_2.gamma"),
    mlp=("c_fc", "c_proj"),
    bridge="vit_large_projector",
    halving=("vit_downsampler1", "vit_downsampler2"),
    interleaved=True,
)
HELD = Names(
    tower="model.vision_model",
    patches=("embeddings", "patch_embedding", "position_embedding", "weight"),
    pre_norm="pre_layernorm",
    layers="layers",
    attention="self_attn",
    projections=linears(PROJECTIONS, bias=True),
    norms=("layernorm_before", "layernorm_after"),
    scales=("lambda_1", "lambda_2"),
    mlp=("fc1", "fc2"),
    bridge="model.multi_modal_projector",
    halving=("downsampler1", "downsampler2"),
    interleaved=False,
)


def tower(vision: Config, names: Names) -> StretchedEncoder:
    """CLIP's layers with a factor on each half, whose heads turn by column and row."""
    s, norm = Dims.of(vision, even=True), layer_norms(vision["layer_norm_eps"])
    theta, side = axial_theta(vision, s), vision["image_size"] // vision["patch_size"]
    first, second = (LayerScale(parameter=name, size=s.width) for name in names.scales)
    inner = Size(int(s.width * vision["mlp_ratio"]), "hidden_size·mlp_ratio", s.width.keys)
    block = Block(
        input_norm=norm(names.norms[0], Role.INPUT_NORM, s.width),
        attention=self_attention(
            s,
            names.projections,
            name=names.attention,
            positions=Axial(dim=int(s.head_dim), theta=theta, interleaved=names.interleaved),
            sees=Segments("image"),
        ),
        attention_out_norm=first,
        feed_forward_norm=norm(names.norms[1], Role.POST_ATTENTION_NORM, s.width),
        feed_forward=mlp(s.width, inner, vision["hidden_act"], names=names.mlp, bias=True),
        feed_forward_out_norm=second,
    )
    name, kernel, table, leaf = names.patches
    return StretchedEncoder(
        name=names.tower,
        patches=StretchedPatches(
            name=name,
            width=s.width,
            channels=vision["num_channels"],
            image=vision["image_size"],
            patch=vision["patch_size"],
            class_token=False,
            learned=side * side,
            kernel=kernel,
            table=table,
            leaf=leaf,
        ),
        pre_norm=norm(names.pre_norm, Role.EMBEDDING_NORM, s.width),
        blocks=(Repeat(name=names.layers, indices=range(s.depth), child=block),),
        post_norm=None,
    )


def bridge(names: Names, inputs: Size, outputs: Size, *, bias: bool) -> HalvingBridge:
    """Two convolutions that double the width, and a matrix; the former lie in the tower."""
    first, second = (f"{names.tower}.{name}" for name in names.halving)
    return HalvingBridge(
        name="",
        first=Convolved(name=first, inputs=inputs, outputs=inputs * 2, kernel=3, stride=2, bias=True),
        second=Convolved(name=second, inputs=inputs * 2, outputs=inputs * 4, kernel=3, stride=2, bias=True),
        last=Projection(name=names.bridge, inputs=inputs * 4, outputs=outputs, bias=bias),
    )
