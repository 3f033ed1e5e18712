"""Phi-4-multimodal as Microsoft publishes it (arXiv 2503.01743): with a LoRA for images and one for speech inside.

Sources: `convert_phi4_multimodal_weights_to_hf.py` of transformers, and the config and names of
microsoft/Phi-4-multimodal-instruct.
"""

from __future__ import annotations

from weightscope.components.base import Group
from weightscope.components.vision.language import VisionLanguage
from weightscope.config import Config
from weightscope.families.common.multimodal import replaced
from weightscope.families.registry import family
from weightscope.families.siblings.phi3 import phi3_decoder
from weightscope.families.siblings.phi4 import PHI4, PUBLISHED, VISION, eye
from weightscope.families.siblings.phi4_adapters import adapters
from weightscope.families.siblings.phi4_audio import PHI4_AUDIO, ear
from weightscope.families.siblings.phi4_audio import PUBLISHED as SPEECH

SENSES = "model.embed_tokens_extend"
# The config's names of what transformers' has.
AUDIO_NAMES = {
    "hidden_size": "attention_dim", "num_attention_heads": "attention_heads", "intermediate_size": "linear_units",
    "depthwise_separable_out_channel": "depthwise_seperable_out_channel",
}  # fmt: skip
AUDIO = {AUDIO_NAMES.get(key, key): default for key, default in PHI4_AUDIO.items()}


@family("phi4mm", roots=("as published",), defaults=PHI4)
def phi4mm(config: Config, root: str) -> VisionLanguage:
    """The tower's sizes are those of the code: its config has the size of a tile alone."""
    del root
    width, vision, model = config["hidden_size"], _vision(config), phi3_decoder(config, "model", base="base_layer")
    audio, sees = _audio(config), eye(vision, width, f"{SENSES}.image_embed", PUBLISHED)
    return VisionLanguage(
        eye=sees,
        language=Group(parts=(model,)),
        image_token=int(vision["image_token_id"]),
        ear=ear(audio, width, f"{SENSES}.audio_embed", SPEECH, sees.takes[0]),
        audio_token=int(audio["audio_token_id"]),
        unused=(adapters(config),),
        refused="Phi-4-multimodal as Microsoft publishes it, with adapters inside",
    )


def _vision(config: Config) -> Config:
    return config.nested("embd_layer").nested("image_embd_layer").with_defaults(VISION)


def _audio(config: Config) -> Config:
    said = config.nested("audio_processor").nested("config")
    stem = said.nested("nemo_conv_settings").with_defaults({"conv_channels": 1024})
    distances = said.nested("relative_attention_bias_args").with_defaults({"t5_bias_max_distance": 1000})
    bridge = config.nested("embd_layer").nested("audio_embd_layer").with_defaults({"downsample_rate": 1})
    whole = replaced(
        said,
        nemo_conv_channels=int(stem["conv_channels"]),
        bias_max_distance=int(distances["t5_bias_max_distance"]),
        downsample_rate=int(bridge["downsample_rate"]),
    )
    return whole.with_defaults(AUDIO, AUDIO_NAMES)
