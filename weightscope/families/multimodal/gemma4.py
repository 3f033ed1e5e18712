"""Gemma 4 (Google 2026) sees images of any size, and hears clips of any length where it has an audio tower.

Source: `Gemma4Config` of transformers.
"""

from __future__ import annotations

from weightscope.components.audio.framed_ear import ConformerEar
from weightscope.components.decoder import CausalLM
from weightscope.components.vision.language import VisionLanguage
from weightscope.config import Config
from weightscope.families.common.multimodal import decided_text
from weightscope.families.registry import component_of, family
from weightscope.families.siblings.gemma4_eye import VISION, WHOLE, bridge_of, has, seeing, tower
from weightscope.families.siblings.gemma_audio import GEMMA4_AUDIO, conformer

# What a root stands for: prefixes of the language model and its decoder, and of all other parts.
SPELLINGS = {
    "as published": ("", "model.language_model", "model."),
    "as MLX has it": ("language_model", "model", ""),
}


@family("gemma4", roots=tuple(SPELLINGS), defaults=WHOLE, needs=("text_config",))
def gemma4(config: Config, root: str) -> VisionLanguage | CausalLM:
    """Tokens of an image see each other where a layer has a window, if `use_bidirectional_attention` is vision."""
    language, decoder, others = SPELLINGS[root]
    model = component_of(CausalLM, decided_text(config, tied=config["tie_word_embeddings"]), decoder, "gemma4_text")
    eye, bridge, ear = None, None, None
    if has(config, "vision_config"):
        vision = config.nested("vision_config").with_defaults(VISION)
        eye = tower(vision, f"{others}vision_tower")
        bridge = bridge_of(vision, f"{others}embed_vision", vision["hidden_size"], model)
    if has(config, "audio_config"):
        audio = config.nested("audio_config").with_defaults(GEMMA4_AUDIO)
        ear = ConformerEar(
            tower=conformer(audio, f"{others}audio_tower"),
            bridge=bridge_of(audio, f"{others}embed_audio", audio["output_proj_dims"], model),
            begin=config["boa_token_id"],
            end=config["eoa_token_index"],
        )
    return seeing(config, model, language, eye=eye, bridge=bridge, ear=ear, whole="in windows")
