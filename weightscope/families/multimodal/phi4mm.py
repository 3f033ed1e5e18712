"""Phi-4-multimodal as Microsoft publishes it (arXiv 2503.01743): with a LoRA for images and one for speech inside.

Sources: `convert_phi4_multimodal_weights_to_hf.py` of transformers, the config and names of
microsoft/Phi-4-multimodal-instruct, and `Phi4MMForCausalLM` there for when each LoRA is added.
"""

from __future__ import annotations

from weightscope.components.base import Group
from weightscope.components.vision.lora_language import LoraLanguage
from weightscope.config import Config
from weightscope.families.registry import family
from weightscope.families.siblings.phi3 import phi3_decoder
from weightscope.families.siblings.phi4 import PHI4, PUBLISHED, eye
from weightscope.families.siblings.phi4_adapters import adapter, adapters
from weightscope.families.siblings.phi4_audio import PUBLISHED as SPEECH
from weightscope.families.siblings.phi4_audio import ear
from weightscope.families.siblings.phi4_published import heard, refused, seen

SENSES = "model.embed_tokens_extend"


@family("phi4mm", roots=("as published",), defaults=PHI4)
def phi4mm(config: Config, root: str) -> LoraLanguage:
    """Its parts are those of phi4_multimodal under other names."""
    del root
    width, vision, audio = config["hidden_size"], seen(config), heard(config)
    looks = eye(vision, width, f"{SENSES}.image_embed", PUBLISHED)
    return LoraLanguage(
        eye=looks,
        language=Group(parts=(phi3_decoder(config, "model", base="base_layer"),)),
        image_token=int(vision["image_token_id"]),
        ear=ear(audio, width, f"{SENSES}.audio_embed", SPEECH, looks.takes[0]),
        audio_token=int(audio["audio_token_id"]),
        unused=(adapters(config),),
        refused=refused(config),
        looking=adapter(config, "vision"),
        listening=adapter(config, "speech"),
    )
