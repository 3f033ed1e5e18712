"""MoonViT, the vision tower of Kimi-VL and after (arXiv 2504.07491), and its projector.

Sources: `Kimi_K25VisionConfig` of transformers, `MoonViTConfig` of moonshotai/MoonViT-SO-400M.
"""

from __future__ import annotations

from typing import Any

import msgspec

from weightscope.components.attention import Segments
from weightscope.components.attention.axial import Axial
from weightscope.components.base import Repeat
from weightscope.components.decoder import Block
from weightscope.components.projection import Projection
from weightscope.components.vision.merger import PatchMerger
from weightscope.components.vision.packed_tower import PackedTower
from weightscope.components.vision.patches import PatchProjection
from weightscope.components.vision.resized_positions import ResizedPositions
from weightscope.config import Config, Nullable
from weightscope.families.common import Dims, layer_norms
from weightscope.families.common.parts import mlp, self_attention
from weightscope.families.siblings.towers import axial_theta
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import StorageItem
from weightscope.storage.linear import Linear

MOONVIT: dict[str, Any] = {
    "hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27, "num_attention_heads": 16,
    "patch_size": 14, "pos_emb_height": 64, "pos_emb_width": 64, "hidden_act": "gelu_pytorch_tanh",
    "merge_kernel_size": [2, 2], "rope_parameters": Nullable(dict), "rope_theta": Nullable(float),
}  # fmt: skip
# Moonshot's own names of the same keys, of Kimi-VL and of Kimi K2.5.
MOONSHOT = {
    "init_pos_emb_height": "pos_emb_height", "init_pos_emb_width": "pos_emb_width", "vt_hidden_size": "hidden_size",
    "vt_intermediate_size": "intermediate_size", "vt_num_hidden_layers": "num_hidden_layers",
    "vt_num_attention_heads": "num_attention_heads",
}  # fmt: skip
FUSED = (Linear("wqkv", Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ, bias=True), Linear("wo", Role.O_PROJ, bias=True))
APART = (
    Linear("q_proj", Role.Q_PROJ, bias=True),
    Linear("k_proj", Role.K_PROJ, bias=True),
    Linear("v_proj", Role.V_PROJ, bias=True),
    Linear("proj", Role.O_PROJ, bias=True),
)


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """How a tower is spelled; `interleaved` is how its queries and keys lie in their heads."""

    patches: str = "patch_embed"
    positions: str = "weight"
    layers: str = "encoder.blocks"
    last_norm: str = "encoder.final_layernorm"
    attention: str = ""
    projections: tuple[StorageItem, ...] = FUSED
    norms: tuple[str, str] = ("norm0", "norm1")
    mlp: tuple[str, str] = ("fc0", "fc1")
    interleaved: bool = True


PUBLISHED = Names()
# 5.23 puts the patches' convolution below the encoder when it writes names back.
SAVED = Names(patches="encoder.patch_embed")
HELD = Names(
    positions="position_embeddings",
    layers="layers",
    last_norm="final_layernorm",
    attention="attn",
    projections=APART,
    norms=("norm1", "norm2"),
    mlp=("fc1", "fc2"),
    interleaved=False,
)


def merge_of(vision: Config) -> int:
    """How many rows and columns of patches become one vector.

    Raises:
        UndeclaredError: not the same number of both.
        ConfigError: no numbers.
    """
    kernel = vision["merge_kernel_size"]
    if len(kernel) != 2 or not all(type(side) is int and side > 0 for side in kernel):
        raise vision.error(f"merge_kernel_size is {kernel!r:.60}, not two numbers of patches")
    if kernel[0] != kernel[1]:
        raise vision.undeclared(f"a merge_kernel_size of {kernel[0]} × {kernel[1]} is not declared")
    return int(kernel[0])


def unsquare(vision: Config) -> str:
    """Why there is no forward pass: transformers reads a table of positions as a square."""
    height, width = vision["pos_emb_height"], vision["pos_emb_width"]
    return "" if height == width else f"MoonViT with pos_emb_height {height:,} and pos_emb_width {width:,}"


def tower(vision: Config, name: str, names: Names) -> PackedTower:
    """A patch sees all of its image; positions are learned, and heads turn besides."""
    s, norm = Dims.of(vision, even=True), layer_norms(1e-5)
    turns = Axial(dim=int(s.head_dim), theta=axial_theta(vision, s), alternating=True, interleaved=names.interleaved)
    block = Block(
        input_norm=norm(names.norms[0], Role.INPUT_NORM, s.width),
        attention=self_attention(s, names.projections, name=names.attention, positions=turns, sees=Segments("image")),
        feed_forward_norm=norm(names.norms[1], Role.POST_ATTENTION_NORM, s.width),
        feed_forward=mlp(s.width, vision["intermediate_size"], vision["hidden_act"], names=names.mlp, bias=True),
    )
    return PackedTower(
        name=name,
        patches=PatchProjection(
            name=names.patches, width=s.width, channels=Size(3), patch=vision["patch_size"], bias=True
        ),
        positions=ResizedPositions(
            name="patch_embed.pos_emb",
            parameter=names.positions,
            rows=vision["pos_emb_height"],
            columns=vision["pos_emb_width"],
            width=s.width,
        ),
        blocks=(Repeat(name=names.layers, indices=range(s.depth), child=block),),
        post_norm=norm(names.last_norm, Role.FINAL_NORM, s.width),
    )


def merger(
    name: str, inputs: Size, outputs: Size, merge: int, names: tuple[str, str, str], *, eps: float = 1e-5
) -> PatchMerger:
    """Norm of each patch, then squares of them through two matrices; `names` in this order."""
    together = inputs * merge**2
    return PatchMerger(
        name=name,
        norm=layer_norms(eps)(names[0], Role.PROJECTOR_NORM, inputs),
        first=Projection(name=names[1], inputs=together, outputs=together, bias=True),
        second=Projection(name=names[2], inputs=together, outputs=outputs, bias=True),
        activation="gelu",
        square=merge**2,
    )
