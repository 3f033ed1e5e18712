"""LLaVA 1.5 (arXiv 2310.03744): a CLIP tower, a two-layer projector, any declared language model.

Source: `LlavaConfig` of transformers.
"""

from __future__ import annotations

from weightscope.components.vision.crops import CropEye
from weightscope.components.vision.language import VisionLanguage
from weightscope.config import Config
from weightscope.families.common.multimodal import text_config
from weightscope.families.registry import family
from weightscope.families.siblings.llava import CHOSEN, IMAGE_TOKEN, PARTS, SPELLINGS, parts_of, projector


@family("llava", roots=tuple(SPELLINGS), defaults=CHOSEN, attribute_map=IMAGE_TOKEN, needs=PARTS)
def llava(config: Config, root: str) -> VisionLanguage:
    """Features of `vision_feature_layer`, one layer or several, replace the image tokens' embeddings."""
    spelling = SPELLINGS[root]
    read = parts_of(config, spelling, text_config(config))
    return VisionLanguage(
        eye=CropEye(
            tower=read.tower,
            bridge=projector(config, read, spelling),
            each=read.each,
            layers=read.layers,
            whole=read.whole,
            skipped=read.skipped,
        ),
        language=read.language,
        image_token=int(config["image_token_index"]),
    )
