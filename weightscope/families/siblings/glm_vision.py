"""What GLM's models that see share: the tower, its bridge, the whole. Source: `Glm4vConfig` of transformers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from weightscope.components.attention import Attention, Heads, Segments
from weightscope.components.attention.axial import Axial
from weightscope.components.attention.norms import NO_NORMS, QueryKeyNorms
from weightscope.components.base import Group, Repeat
from weightscope.components.decoder import CausalLM
from weightscope.components.feed_forward.mlp import GatedMLP
from weightscope.components.norm import LayerNorm
from weightscope.components.projection import Projection
from weightscope.components.vision.downsampling import DownsamplingMerger
from weightscope.components.vision.grid_eye import GridEye
from weightscope.components.vision.grid_tower import GridTower
from weightscope.components.vision.language import VisionLanguage
from weightscope.components.vision.sampled_positions import SampledPositions
from weightscope.config import Config, Nullable
from weightscope.families.common import rms_norms, rotary
from weightscope.families.common.dims import depth_of
from weightscope.families.common.mixtures import SWITCHED
from weightscope.families.common.multimodal import part
from weightscope.families.common.parts import gated_mlp, head_norms
from weightscope.families.registry import component_of
from weightscope.families.siblings.qwen_vl import PUBLISHED_TOGETHER, TOWERLESS, patches, vision_block
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.linear import Linear

WHOLE: dict[str, Any] = {
    "image_token_id": 151343, "video_token_id": 151344, "image_start_token_id": 151339, "image_end_token_id": 151340,
    "tie_word_embeddings": Nullable(bool), "architectures": Nullable(list),
}  # fmt: skip
TOWER: dict[str, Any] = {
    "depth": 24, "hidden_size": 1536, "hidden_act": "silu", "attention_bias": False, "num_heads": 12,
    "in_channels": 3, "image_size": 336, "patch_size": 14, "rms_norm_eps": 1e-5, "spatial_merge_size": 2,
    "temporal_patch_size": 2, "out_hidden_size": 4096, "intermediate_size": 13696,
    "rope_theta": 10000.0, "rope_parameters": Nullable(dict),
}  # fmt: skip
OCR_TOWER = TOWER | {
    "hidden_size": 1024, "attention_bias": True, "num_heads": 16, "out_hidden_size": 1536, "intermediate_size": 4096,
}  # fmt: skip
TOWER_NAMES = {"num_attention_heads": "num_heads", "num_hidden_layers": "depth"}
# Mixtures are published with experts apart, and transformers 5 holds them stacked.
SPELLINGS = PUBLISHED_TOGETHER
MIXED = {
    "as published": ("model.visual", "", "model.language_model"),
    "as transformers 5 holds it": ("model.visual", "", "model.language_model, experts stacked"),
    TOWERLESS: ("", "language_model", SWITCHED),
    "as MLX has it": ("vision_tower", "language_model", SWITCHED),
}


class GlmEye(GridEye, frozen=True, kw_only=True):
    """Qwen2-VL's, with a processor of its own."""

    processor = "Glm4vImageProcessor"


def seeing(
    config: Config, text: Config, spelling: tuple[str, str, str], tower: Callable[[str], GridTower], usual: str
) -> VisionLanguage | CausalLM:
    """The tower and the language model under a spelling; `usual` is the type of a `text` config that says none."""
    eye, language, decoder = spelling
    model = component_of(CausalLM, text, decoder, usual)
    if not eye:
        return replace(model, name=language)
    return VisionLanguage(
        eye=GlmEye(tower=tower(eye)),
        language=Group(name=language, parts=(model,)),
        image_token=int(config["image_token_id"]),
        other_tokens=((int(config["video_token_id"]), "a video"),),
        around=((int(config["image_start_token_id"]),), (int(config["image_end_token_id"]),)),
    )


def vision_attention(vision: Config, *, o_bias: bool = False, norms: QueryKeyNorms = NO_NORMS) -> Attention:
    """Queries, keys and values are one matrix; all of a head turns, half by row and half by column."""
    width, count = vision["hidden_size"], vision["num_heads"]
    if width % (4 * count):
        raise vision.error(f"{width.text} {width:,} must be a multiple of 4 · {count.text} ({count:,})")
    size = width // count
    return Attention(
        name="attn",
        projections=(
            Linear("qkv", Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ, bias=vision["attention_bias"]),
            Linear("proj", Role.O_PROJ, bias=o_bias),
        ),
        width=width,
        heads=Heads(count=count, keys=count, size=size),
        norms=norms,
        positions=Axial(dim=int(size), theta=rotary(vision, size).theta),
        sees=Segments("frame"),
    )


def downsampling(vision: Config, inner: Size) -> DownsamplingMerger:
    """To `out_hidden_size`, at which the MLP is `inner` wide."""
    out = vision["out_hidden_size"]
    mlp = gated_mlp(vision, "merger", inner=inner)
    return DownsamplingMerger(
        width=vision["hidden_size"],
        outputs=out,
        merge=vision["spatial_merge_size"],
        proj=Projection(name="merger.proj", inputs=out, outputs=out, bias=False),
        norm=LayerNorm(name="merger.post_projection_norm", role=Role.PROJECTOR_NORM, size=out, eps=1e-5),
        mlp=GatedMLP(name=mlp.name, items=mlp.items, width=out, inner=inner, activation=mlp.activation),
    )


def glm_tower(config: Config, name: str) -> GridTower:
    """A layer's MLP is as wide as the tower's output; `intermediate_size` is the bridge's."""
    vision = part(config, "vision_config", TOWER, TOWER_NAMES)
    width, norm = vision["hidden_size"], rms_norms(vision["rms_norm_eps"])
    side = vision["image_size"] // vision["patch_size"]
    mlp = gated_mlp(vision, "mlp", inner=vision["out_hidden_size"])
    block = vision_block(norm, width, vision_attention(vision), mlp)
    return GridTower(
        name=name,
        patches=patches(vision, width, bias=True),
        pre_norm=norm("post_conv_layernorm", Role.EMBEDDING_NORM, width),
        positions=SampledPositions(name="embeddings.position_embedding", count=side * side, width=width),
        blocks=(Repeat(name="blocks", indices=range(depth_of(vision, "depth")), child=block),),
        post_norm=norm("post_layernorm", Role.FINAL_NORM, width),
        merger=downsampling(vision, vision["intermediate_size"]),
        merge=int(vision["spatial_merge_size"]),
    )


def ocr_tower(config: Config, name: str) -> GridTower:
    """`attention_bias` is for all matrices of a layer."""
    vision = part(config, "vision_config", OCR_TOWER, TOWER_NAMES)
    width, norm, bias = vision["hidden_size"], rms_norms(vision["rms_norm_eps"]), vision["attention_bias"]
    norms = head_norms(norm, width // vision["num_heads"])
    attention = vision_attention(vision, o_bias=bias, norms=norms)
    block = vision_block(norm, width, attention, gated_mlp(vision, "mlp", bias=bias))
    return GridTower(
        name=name,
        patches=patches(vision, width, bias=True),
        blocks=(Repeat(name="blocks", indices=range(depth_of(vision, "depth")), child=block),),
        post_norm=norm("post_layernorm", Role.FINAL_NORM, width),
        merger=downsampling(vision, vision["out_hidden_size"] * vision["in_channels"]),
        merge=int(vision["spatial_merge_size"]),
    )
