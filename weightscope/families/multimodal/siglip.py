"""SigLIP (arXiv 2303.15343), whole and its text encoder alone. Sources: `SiglipConfig` and `SiglipTextConfig`."""

from __future__ import annotations

from weightscope.components.attention import EVERYTHING
from weightscope.components.decoder import CausalLM
from weightscope.components.vision.contrast import Contrast
from weightscope.components.vision.encoder import VisionEncoder
from weightscope.components.vision.vision_head import VisionHead
from weightscope.config import Config
from weightscope.families.registry import component_of, family
from weightscope.families.siblings.contrastive import PARTS, TEXT_NEEDS, image_classes, text_encoder
from weightscope.families.siblings.siglip_text import SIGLIP_TEXT, text_head
from weightscope.sizes import Size


@family("siglip_text_model", roots=("text_model", ""), defaults=SIGLIP_TEXT, needs=TEXT_NEEDS)
def siglip_text_model(config: Config, root: str) -> CausalLM:
    """A token sees all others; the head, which makes one vector of a text, is not part of the features."""
    return text_encoder(config, root, EVERYTHING, extras=(text_head(config, root),))


@family("siglip", roots=("",), defaults={}, needs=PARTS)
def siglip(config: Config, root: str) -> Contrast | VisionHead:
    """The last token stands for the text, and a probe that attends to all patches for the image."""
    if config.task == "ImageClassification":
        return image_classes(VisionEncoder, config, "siglip_vision_model")
    own = config.nested("text_config").with_defaults(SIGLIP_TEXT)
    text = text_encoder(own, "text_model", EVERYTHING)
    tower = component_of(VisionEncoder, config.nested("vision_config"), "vision_model", "siglip_vision_model")
    return Contrast(
        name=root,
        text=text,
        text_projection=text_head(own, "text_model"),
        tower=tower,
        visual_projection=None,
        number=(Size(1),),
        biased=True,
        end=None,
        usual="SiglipImageProcessor",
        refused="" if tower.pooler else "SigLIP without vision_use_head has no vector of an image",
    )
