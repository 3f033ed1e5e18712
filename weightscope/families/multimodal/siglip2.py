"""SigLIP 2 for images of any shape (arXiv 2502.14786), whole and its text encoder alone.

Sources: `Siglip2Config` and `Siglip2TextConfig` of transformers.
"""

from __future__ import annotations

from weightscope.components.attention import EVERYTHING
from weightscope.components.decoder import CausalLM
from weightscope.components.vision.contrast import Contrast
from weightscope.components.vision.naflex import NaflexEncoder
from weightscope.components.vision.vision_head import VisionHead
from weightscope.config import Config
from weightscope.families.registry import component_of, family
from weightscope.families.siblings.contrastive import PARTS, TEXT_NEEDS, image_classes, text_encoder
from weightscope.families.siblings.siglip_text import SIGLIP_TEXT, text_head
from weightscope.sizes import Size


@family("siglip2_text_model", roots=("text_model", ""), defaults=SIGLIP_TEXT, needs=TEXT_NEEDS)
def siglip2_text_model(config: Config, root: str) -> CausalLM:
    """SigLIP's."""
    return text_encoder(config, root, EVERYTHING, extras=(text_head(config, root),))


@family("siglip2", roots=("",), defaults={}, needs=PARTS)
def siglip2(config: Config, root: str) -> Contrast | VisionHead:
    """SigLIP's text encoder, and a tower whose images have any shape."""
    if config.task == "ImageClassification":
        return image_classes(NaflexEncoder, config, "siglip2_vision_model")
    own = config.nested("text_config").with_defaults(SIGLIP_TEXT)
    tower = component_of(NaflexEncoder, config.nested("vision_config"), "vision_model", "siglip2_vision_model")
    return Contrast(
        name=root,
        text=text_encoder(own, "text_model", EVERYTHING),
        text_projection=text_head(own, "text_model"),
        tower=tower,
        visual_projection=None,
        number=(Size(1),),
        biased=True,
        end=None,
        usual="Siglip2ImageProcessor",
        refused="" if tower.pooler else "SigLIP 2 without vision_use_head has no vector of an image",
    )
