"""ViP-LLaVA (arXiv 2312.00784): features of several layers side by side, a norm before the projector.

Source: `VipLlavaConfig` of transformers.
"""

from __future__ import annotations

from weightscope.components.norm import LayerNorm
from weightscope.components.vision.crops import CropEye
from weightscope.components.vision.language import VisionLanguage
from weightscope.config import Config, Nullable
from weightscope.families.common.multimodal import decided_text_config
from weightscope.families.registry import family
from weightscope.families.siblings.llava import IMAGE_TOKEN, PARTS, SPELLINGS, WHOLE, parts_of, projector
from weightscope.roles import Role

VIPLLAVA = WHOLE | {"projector_layernorm_eps": 1e-5, "vision_feature_layer": Nullable(object, [-2, -5, -8, -11, 6])}
NAMES = IMAGE_TOKEN | {"vision_feature_layers": "vision_feature_layer"}


@family("vipllava", roots=tuple(SPELLINGS), defaults=VIPLLAVA, attribute_map=NAMES, needs=PARTS)
def vipllava(config: Config, root: str) -> VisionLanguage:
    """Without the class vector."""
    spelling = SPELLINGS[root]
    read = parts_of(config, spelling, decided_text_config(config))
    width = read.tower.patches.width * len(read.layers)
    norm = LayerNorm(
        name="projector_layernorm", role=Role.PROJECTOR_NORM, size=width, eps=config["projector_layernorm_eps"]
    )
    bridge = projector(config, read, spelling, norm=norm)
    return VisionLanguage(
        eye=CropEye(tower=read.tower, bridge=bridge, each=read.each, layers=read.layers, skipped=read.skipped),
        language=read.language,
        image_token=int(config["image_token_index"]),
    )
