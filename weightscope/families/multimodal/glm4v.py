"""GLM-4.1V, 4.5V and 4.6V (arXiv 2507.01006). Sources: `Glm4vConfig`, `Glm4vMoeConfig`, `Glm46VConfig`."""

from __future__ import annotations

from functools import partial

from weightscope.components.base import Repeat
from weightscope.components.decoder import CausalLM
from weightscope.components.vision.grid_tower import GridTower
from weightscope.components.vision.language import VisionLanguage
from weightscope.components.vision.sampled_positions import SampledPositions
from weightscope.config import Config
from weightscope.families.common import rms_norms
from weightscope.families.common.dims import depth_of
from weightscope.families.common.multimodal import decided_text_config, part, text_config
from weightscope.families.common.parts import gated_mlp
from weightscope.families.registry import family
from weightscope.families.siblings.glm_vision import (
    MIXED,
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

PARTS = ("text_config", "vision_config")
LATER = WHOLE | {"image_token_id": 151363, "video_token_id": 151364}


def tower(config: Config, name: str) -> GridTower:
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


@family("glm4v", roots=tuple(SPELLINGS), parts=(TOWERLESS,), defaults=WHOLE, needs=PARTS)
def glm4v(config: Config, root: str) -> VisionLanguage | CausalLM:
    """Before GLM-4."""
    return seeing(config, text_config(config), SPELLINGS[root], partial(tower, config), "glm4v_text")


@family("glm4v_moe", roots=tuple(MIXED), parts=(TOWERLESS,), defaults=LATER, needs=PARTS)
def glm4v_moe(config: Config, root: str) -> VisionLanguage | CausalLM:
    """Before GLM-4.5's mixture."""
    return seeing(config, text_config(config), MIXED[root], partial(tower, config), "glm4v_moe_text")


@family("glm46v", roots=tuple(MIXED), parts=(TOWERLESS,), defaults=WHOLE, needs=PARTS)
def glm46v(config: Config, root: str) -> VisionLanguage | CausalLM:
    """Before either; the whole alone decides on tying."""
    text = decided_text_config(config)
    mixed = text.data.get("model_type") == "glm4v_moe_text"
    spelling = MIXED[root] if mixed else SPELLINGS.get(root, SPELLINGS["as published"])
    return seeing(config, text, spelling, partial(tower, config), "glm4v_text")
