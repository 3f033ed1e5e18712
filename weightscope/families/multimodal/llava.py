"""LLaVA 1.5 (arXiv 2310.03744): a CLIP tower, a two-layer projector, any declared language model.

Source: `LlavaConfig` of transformers; a flat config is one of the original repository.
"""

from __future__ import annotations

from weightscope.components.decoder import CausalLM
from weightscope.components.vision.crops import CropEye
from weightscope.components.vision.language import VisionLanguage
from weightscope.config import Config
from weightscope.families.common.multimodal import text_config
from weightscope.families.registry import family
from weightscope.families.siblings.llava import CHOSEN, IMAGE_TOKEN, SPELLINGS, parts_of, projector
from weightscope.families.siblings.llava_original import APART, USUAL, WITHIN, is_original, original
from weightscope.families.siblings.llava_pixtral import llava_pixtral

ROOTS = (USUAL, WITHIN, APART, *(root for root in SPELLINGS if root != USUAL))


@family("llava", roots=ROOTS, parts=(USUAL, APART), defaults=CHOSEN, attribute_map=IMAGE_TOKEN, needs=())
def llava(config: Config, root: str) -> VisionLanguage | CausalLM:
    """Features of `vision_feature_layer`, one layer or several, replace the image tokens' embeddings."""
    if is_original(config):
        return original(config, root, "llama")
    spelling = SPELLINGS.get(root, SPELLINGS[USUAL])
    if config.nested("vision_config").model_type == "pixtral":
        return llava_pixtral(config, spelling)
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
