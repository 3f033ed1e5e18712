"""A language model that hears: vectors of audio clips stand in its sequence where its audio tokens are."""

from __future__ import annotations

from weightscope.components.audio.ear import Ear
from weightscope.components.sensing import SensingLanguage


class AudioLanguage(SensingLanguage, frozen=True, kw_only=True):
    """`ear` makes the vectors that stand where `audio_token` is."""

    ear: Ear
    audio_token: int

    @property
    def sense(self) -> Ear:
        return self.ear

    @property
    def mark(self) -> int:
        return self.audio_token
