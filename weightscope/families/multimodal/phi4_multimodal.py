"""Phi-4-multimodal (arXiv 2503.01743): SigLIP's tower, a conformer, Phi-3's decoder.

Source: `Phi4MultimodalConfig` of transformers; as Microsoft publishes it, the type is phi4mm.
"""

from __future__ import annotations

from weightscope.components.base import Group
from weightscope.components.vision.language import VisionLanguage
from weightscope.config import Config
from weightscope.families.common.multimodal import part
from weightscope.families.registry import family
from weightscope.families.siblings.phi3 import phi3_decoder
from weightscope.families.siblings.phi4 import HELD, PHI4, VISION, eye
from weightscope.families.siblings.phi4_audio import HELD as SPEECH
from weightscope.families.siblings.phi4_audio import PHI4_AUDIO, ear
from weightscope.storage.base import join


@family("phi4_multimodal", roots=("model", ""), defaults=PHI4)
def phi4_multimodal(config: Config, root: str) -> VisionLanguage:
    """Features of `feature_layer` of the tower, tiles and then the whole image."""
    vision, audio = part(config, "vision_config", VISION), part(config, "audio_config", PHI4_AUDIO)
    width, senses = config["hidden_size"], join(root, "embed_tokens_extend")
    sees = eye(vision, width, f"{senses}.image_embed", HELD)
    return VisionLanguage(
        eye=sees,
        language=Group(parts=(phi3_decoder(config, root),)),
        image_token=int(vision["image_token_id"]),
        ear=ear(audio, width, f"{senses}.audio_embed", SPEECH, sees.takes[0]),
        audio_token=int(audio["audio_token_id"]),
    )
