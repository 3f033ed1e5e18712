"""Qwen2-VL (arXiv 2409.12191): images of any size, positions in three axes. Source: `Qwen2VLConfig` of transformers."""

from __future__ import annotations

from weightscope.components.attention import Segments
from weightscope.components.base import Repeat
from weightscope.components.decoder import CausalLM
from weightscope.components.vision.grid_tower import GridTower
from weightscope.components.vision.language import VisionLanguage
from weightscope.config import Config
from weightscope.families.common import layer_norms
from weightscope.families.common.parts import mlp
from weightscope.families.registry import family
from weightscope.families.siblings.qwen_vl import (
    PUBLISHED_APART,
    TOWER,
    TOWER_NAMES,
    TOWERLESS,
    WHOLE,
    merger,
    patches,
    seeing,
    vision_attention,
    vision_block,
)
from weightscope.roles import Role

VISION = TOWER | {"embed_dim": 1280, "hidden_size": 3584, "hidden_act": "quick_gelu", "mlp_ratio": 4}


@family("qwen2_vl", roots=tuple(PUBLISHED_APART), parts=(TOWERLESS,), defaults=WHOLE, needs=("vision_config",))
def qwen2_vl(config: Config, root: str) -> VisionLanguage | CausalLM:
    """A patch sees its whole frame. The tower's `hidden_size` is what it puts out, `embed_dim` its own width."""
    vision = config.nested("vision_config").with_defaults(VISION, TOWER_NAMES)
    width, norm = vision["embed_dim"], layer_norms(1e-6)
    feed_forward = mlp(width, width * vision["mlp_ratio"], vision["hidden_act"], names=("fc1", "fc2"), bias=True)
    block = vision_block(norm, width, vision_attention(vision, width, Segments("frame")), feed_forward)

    def tower(name: str) -> GridTower:
        return GridTower(
            name=name,
            patches=patches(vision, width),
            blocks=(Repeat(name="blocks", indices=range(vision["depth"]), child=block),),
            merger=merger(
                vision, width, vision["hidden_size"], norm("ln_q", Role.PROJECTOR_NORM, width), ("mlp.0", "mlp.2")
            ),
            merge=int(vision["spatial_merge_size"]),
        )

    return seeing(config, PUBLISHED_APART[root], tower, "qwen2_vl_text")
