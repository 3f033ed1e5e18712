"""Gemma 4 12B (Google 2026) has no towers: patches and audio go through a matrix each.

Source: `Gemma4UnifiedConfig` of transformers.
"""

from __future__ import annotations

from typing import Any

from weightscope.components.audio.framed_ear import BareEar
from weightscope.components.decoder import CausalLM
from weightscope.components.vision.language import VisionLanguage
from weightscope.components.vision.placed_patches import MergedPatches
from weightscope.config import Config
from weightscope.families.common.multimodal import decided_text
from weightscope.families.registry import component_of, family
from weightscope.families.siblings.gemma4_eye import WHOLE, bridge_of, has, seeing

VISION: dict[str, Any] = {
    "patch_size": 16, "pooling_kernel_size": 3, "mm_embed_dim": 3840, "mm_posemb_size": 1120, "rms_norm_eps": 1e-6,
    "output_proj_dims": 3840,
}  # fmt: skip
AUDIO: dict[str, Any] = {"audio_embed_dim": 640, "rms_norm_eps": 1e-6}
AUDIO_NAMES = {
    "hidden_size": "audio_embed_dim", "output_proj_dims": "audio_embed_dim",
    "audio_samples_per_token": "audio_embed_dim",
}  # fmt: skip
# What a root stands for: prefixes of the language model and its decoder, of the patches, of the bridges.
SPELLINGS = {
    "as published": ("", "model.language_model", "model.vision_embedder", "model.embed_vision", "model.embed_audio"),
    "as transformers 5 holds it": (
        "", "model.language_model", "model.embed_vision", "model.embed_vision.multimodal_embedder", "model.embed_audio",
    ),
    "as MLX has it": ("language_model", "model", "vision_embedder", "embed_vision", "embed_audio"),
}  # fmt: skip


@family("gemma4_unified", roots=tuple(SPELLINGS), defaults=WHOLE, needs=("text_config",))
def gemma4_unified(config: Config, root: str) -> VisionLanguage | CausalLM:
    """Tokens of an image see each other, however narrow a window, if `use_bidirectional_attention` is vision."""
    language, decoder, patches, seen, heard = SPELLINGS[root]
    model = component_of(
        CausalLM, decided_text(config, tied=config["tie_word_embeddings"]), decoder, "gemma4_unified_text"
    )
    eye, bridge, ear = None, None, None
    if has(config, "vision_config"):
        vision = config.nested("vision_config").with_defaults(VISION)
        eye = MergedPatches(
            name=patches,
            width=vision["mm_embed_dim"],
            patch=vision["patch_size"] * vision["pooling_kernel_size"],
            rows=vision["mm_posemb_size"],
        )
        bridge = bridge_of(vision, seen, vision["output_proj_dims"], model)
    if has(config, "audio_config"):
        audio = config.nested("audio_config").with_defaults(AUDIO, AUDIO_NAMES)
        ear = BareEar(
            bridge=bridge_of(audio, heard, audio["audio_embed_dim"], model),
            begin=config["boa_token_id"],
            end=config["eoa_token_index"],
        )
    return seeing(config, model, language, eye=eye, bridge=bridge, ear=ear, whole="past windows")
