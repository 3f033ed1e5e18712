"""GLM-OCR (Z.ai 2026): GLM-4.1V's tower with norms of each head and no learned positions. Source: `GlmOcrConfig`."""

from __future__ import annotations

from functools import partial

from weightscope.components.base import Repeat
from weightscope.components.decoder import CausalLM
from weightscope.components.vision.grid_tower import GridTower
from weightscope.components.vision.language import VisionLanguage
from weightscope.config import Config
from weightscope.families.common import rms_norms
from weightscope.families.common.dims import depth_of
from weightscope.families.common.multimodal import part, text_config
from weightscope.families.common.parts import gated_mlp, head_norms
from weightscope.families.registry import family
from weightscope.families.siblings.glm_vision import (
    SPELLINGS,
    TOWER,
    TOWER_NAMES,
    WHOLE,
    downsampling,
    seeing,
    vision_attention,
)
from weightscope.families.siblings.qwen_vl import TOWERLESS, patches, vision_block
from weightscope.roles import Role

VISION = TOWER | {
    "hidden_size": 1024, "attention_bias": True, "num_heads": 16, "out_hidden_size": 1536, "intermediate_size": 4096,
}  # fmt: skip
OCR = WHOLE | {
    "image_token_id": 59280, "video_token_id": 59281, "image_start_token_id": 59256, "image_end_token_id": 59257,
}  # fmt: skip


def tower(config: Config, name: str) -> GridTower:
    """`attention_bias` is for all matrices of a layer."""
    vision = part(config, "vision_config", VISION, TOWER_NAMES)
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


@family("glm_ocr", roots=tuple(SPELLINGS), parts=(TOWERLESS,), defaults=OCR, needs=("text_config", "vision_config"))
def glm_ocr(config: Config, root: str) -> VisionLanguage | CausalLM:
    """Before a small GLM-4 without biases."""
    return seeing(config, text_config(config), SPELLINGS[root], partial(tower, config), "glm_ocr_text")
