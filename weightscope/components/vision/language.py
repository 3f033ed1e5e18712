"""A vision-language model: vectors of images stand in the language model's sequence where its image tokens are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from weightscope.components.running import Pass, Whole
from weightscope.components.sense import Sense
from weightscope.components.sensing import SensingLanguage
from weightscope.components.vision.eye import Eye

if TYPE_CHECKING:
    import torch


class VisionLanguage(SensingLanguage, frozen=True, kw_only=True):
    """`eye` makes the vectors that stand where `image_token` is, and an `ear` those where `audio_token` is.

    Image tokens of one image also see later ones where `images_whole`: in all layers (Gemma 3), in those with a window
    (Gemma 4), or past windows too.
    """

    eye: Eye
    image_token: int
    images_whole: Whole = ""
    ear: Sense | None = None
    audio_token: int = -1

    @property
    def senses(self) -> tuple[tuple[Sense, int], ...]:
        heard = ((self.ear, self.audio_token),) if self.ear else ()
        return (self.eye, self.image_token), *heard

    def joined(self, run: Pass, tokens: torch.Tensor) -> Pass:
        if not self.images_whole:
            return run
        together = self._together(tokens == self.image_token)
        return msgspec.structs.replace(run, together=together, whole=self.images_whole)

    @staticmethod
    def _together(taken: torch.Tensor) -> torch.Tensor:
        """Of each token [T], the number of the row of image tokens that it is in, or -1."""
        starts = taken.clone()
        starts[1:] &= ~taken[:-1]
        return (starts.cumsum(0) - 1).masked_fill(~taken, -1)
