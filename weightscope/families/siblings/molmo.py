"""Molmo's layers, its tower and its bridge, under Ai2's names (arXiv 2409.17146)."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from weightscope.components.decoder import Block
from weightscope.components.embedding import Embedding
from weightscope.components.extended_embedding import ExtendedEmbedding
from weightscope.components.feed_forward.mlp import GatedMLP
from weightscope.components.vision.pooled_windows import PaddedPooling
from weightscope.components.vision.row_patches import ClassedRows, RowEncoder
from weightscope.config import Config
from weightscope.families.common import Dims, layer_norms, rms_norms, rotary
from weightscope.families.common.multimodal import part
from weightscope.families.common.parts import self_attention
from weightscope.families.siblings.molmo2_eye import ADAPTER, PUBLISHED, VISION, bridge, tower
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.linear import Linear

# No config says them: tokens that write images, and CLIP ViT-L/14 for 336 pixels up to its second layer from the end.
ADDED, SIDE, USED = Size(128), 24, 2
CLIP: dict[str, Any] = VISION | {
    "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 23, "num_attention_heads": 16,
    "num_key_value_heads": 16, "head_dim": 64, "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5,
}  # fmt: skip
POOLING: dict[str, Any] = ADAPTER | {
    "hidden_size": 1024, "num_attention_heads": 16, "num_key_value_heads": 16, "head_dim": 64,
}  # fmt: skip


def embedding(config: Config) -> ExtendedEmbedding:
    """Tokens that write images have a tensor of their own."""
    rows, width = config["vocab_size"], config["hidden_size"]
    added = Embedding(name="", rows=ADDED, width=width, leaf="new_embedding")
    return ExtendedEmbedding(name="wte", rows=rows + ADDED, width=width, leaf="embedding", base=rows, added=added)


def block(config: Config) -> Block:
    """Queries, keys and values are one matrix; so are ups and gates, of which `intermediate_size` counts both."""
    s, norm = Dims.of(config), rms_norms(config["layer_norm_eps"])
    fused = Linear("att_proj", Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ, bias=config["qkv_bias"])
    return Block(
        input_norm=norm("attn_norm", Role.INPUT_NORM, s.width),
        attention=self_attention(
            s, (fused, Linear("attn_out", Role.O_PROJ)), name="", positions=rotary(config, s.head_dim)
        ),
        feed_forward_norm=norm("ff_norm", Role.POST_ATTENTION_NORM, s.width),
        feed_forward=GatedMLP(
            name="",
            items=(Linear("ff_proj", Role.UP_PROJ, Role.GATE_PROJ), Linear("ff_out", Role.DOWN_PROJ)),
            width=s.width,
            inner=config["intermediate_size"] // 2,
            activation="silu",
        ),
    )


def clip(config: Config) -> RowEncoder:
    """The tower."""
    vision, norm = part(config, "vision_config", CLIP), layer_norms(1e-5)
    width = vision["hidden_size"]
    patches = ClassedRows(
        name="",
        width=width,
        channels=vision["num_channels"],
        image=Size(SIDE) * vision["patch_size"],
        patch=vision["patch_size"],
        count=Size(SIDE * SIDE + 1),
    )
    return tower(vision, PUBLISHED, patches, pre_norm=norm("pre_ln", Role.EMBEDDING_NORM, width))


def padded_bridge(config: Config, encoder: RowEncoder) -> PaddedPooling:
    """As wide between as the language model's layers."""
    made = bridge(part(config, "adapter_config", POOLING), PUBLISHED, encoder, USED)
    projector = replace(made.projector, inner=config["intermediate_size"] // 2, outputs=config["hidden_size"])
    return PaddedPooling(name=made.name, pooling=made.pooling, projector=projector, features=made.features)
