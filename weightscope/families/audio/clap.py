"""CLAP (arXiv 2211.06687): a text and a sound compared. Source: `ClapConfig` of transformers."""

from __future__ import annotations

from weightscope.components.audio.contrast import AudioContrast
from weightscope.components.base import Group
from weightscope.config import Config
from weightscope.families.common.multimodal import part
from weightscope.families.registry import family
from weightscope.families.siblings.clap import PROJECTED, TEXT, projector, text_model
from weightscope.families.siblings.spectrograms import AUDIO, spectrogram_encoder


@family(
    "clap",
    roots=("",),
    defaults=PROJECTED,
    needs=("text_config", "audio_config"),
)
def clap(config: Config, root: str) -> AudioContrast:
    """RoBERTa beside Swin over a spectrogram; both vectors go through two matrices of the whole's own width."""
    text, audio = part(config, "text_config", TEXT), part(config, "audio_config", AUDIO)
    tower = spectrogram_encoder(audio, "audio_encoder")
    return AudioContrast(
        name=root,
        text=text_model(text, "text_model"),
        text_projection=projector(config, "text_projection", text["hidden_size"]),
        ear=Group(name="audio_model", parts=(tower,)),
        audio_projection=projector(config, "audio_projection", audio["hidden_size"]),
        hears=audio["hidden_size"],
    )
