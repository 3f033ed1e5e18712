"""Pixtral's vision encoder (arXiv 2410.07073): images of any size, rotated by row and column.

Source: `PixtralVisionConfig` of transformers.
"""

from __future__ import annotations

from typing import Any

from weightscope.components.attention import Segments
from weightscope.components.attention.axial import Axial
from weightscope.components.base import Repeat
from weightscope.components.decoder import Block
from weightscope.components.vision.packed_tower import PackedTower
from weightscope.components.vision.patches import PatchProjection
from weightscope.config import Config, Nullable
from weightscope.families.common import Dims, rms_norms
from weightscope.families.common.parts import four_projections, gated_mlp, self_attention
from weightscope.families.registry import family
from weightscope.families.siblings.towers import axial_theta
from weightscope.roles import Role

PIXTRAL: dict[str, Any] = {
    "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16,
    "num_channels": 3, "patch_size": 16, "hidden_act": "gelu", "rope_parameters": Nullable(dict),
    "rope_theta": Nullable(float),
}  # fmt: skip


@family("pixtral", roots=("", "vision_encoder"), defaults=PIXTRAL, needs=("hidden_size", "num_hidden_layers"))
def pixtral(config: Config, root: str) -> PackedTower:
    """Llama's layers under other names; a patch sees all of its image."""
    s, norm = Dims.of(config, even=True), rms_norms(1e-5)
    turns = Axial(dim=int(s.head_dim), theta=axial_theta(config, s), divided=True)
    block = Block(
        input_norm=norm("attention_norm", Role.INPUT_NORM, s.width),
        attention=self_attention(s, four_projections(), name="attention", positions=turns, sees=Segments("image")),
        feed_forward_norm=norm("ffn_norm", Role.POST_ATTENTION_NORM, s.width),
        feed_forward=gated_mlp(config, "feed_forward"),
    )
    return PackedTower(
        name=root,
        patches=PatchProjection(
            name="",
            kernel="patch_conv",
            width=s.width,
            channels=config["num_channels"],
            patch=config["patch_size"],
            bias=False,
        ),
        pre_norm=norm("ln_pre", Role.EMBEDDING_NORM, s.width),
        blocks=(Repeat(name="transformer.layers", indices=range(s.depth), child=block),),
    )
