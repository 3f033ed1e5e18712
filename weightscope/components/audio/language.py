"""A language model that hears: vectors of audio clips stand in its sequence where its audio tokens are."""

from __future__ import annotations

from weightscope.components.audio.ear import Ear
from weightscope.components.sense import Sense
from weightscope.components.sensing import SensingLanguage


class AudioLanguage(SensingLanguage, frozen=True, kw_only=True):
    """`ear` makes the vectors that stand where `audio_token` is."""

    ear: Ear
    audio_token: int

    @property
    def senses(self) -> tuple[tuple[Sense, int], ...]:
        return ((self.ear, self.audio_token),)
