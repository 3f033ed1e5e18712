"""CLAP's encoders alone (arXiv 2211.06687). Sources: `ClapTextConfig` and `ClapAudioConfig` of transformers."""

from __future__ import annotations

from msgspec.structs import replace

from weightscope.components.audio.sound_encoder import SoundEncoder
from weightscope.components.base import Group
from weightscope.components.encoder import EncoderModel
from weightscope.config import Config
from weightscope.families.registry import family
from weightscope.families.siblings.clap import PROJECTED, TEXT, projector, text_head, text_model
from weightscope.families.siblings.spectrograms import AUDIO, spectrogram_encoder


@family("clap_text_model", roots=("text_model", ""), defaults=TEXT | PROJECTED, needs=("hidden_size",))
def clap_text_model(config: Config, root: str) -> EncoderModel:
    """RoBERTa; a class of its own has two matrices on the pooled vector."""
    text = text_model(config, root)
    return replace(text, heads=(text_head(config),)) if config.architecture.endswith("WithProjection") else text


@family("clap_audio_model", roots=("audio_model", ""), defaults=AUDIO | PROJECTED, needs=("hidden_size",))
def clap_audio_model(config: Config, root: str) -> SoundEncoder:
    """Swin over a spectrogram; a class of its own has two matrices on the mean of the patches."""
    projected = config.architecture.endswith("WithProjection")
    return SoundEncoder(
        ear=Group(name=root, parts=(spectrogram_encoder(config, "audio_encoder"),)),
        projection=projector(config, "audio_projection", config["hidden_size"]) if projected else None,
    )
