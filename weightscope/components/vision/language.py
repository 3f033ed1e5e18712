"""A vision-language model: vectors of images stand in the language model's sequence where its image tokens are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from weightscope.components.running import Pass, Whole
from weightscope.components.sensing import SensingLanguage
from weightscope.components.vision.eye import Eye

if TYPE_CHECKING:
    import torch


class VisionLanguage(SensingLanguage, frozen=True, kw_only=True):
    """`eye` makes the vectors that stand where `image_token` is.

    Image tokens of one image also see later ones where `images_whole`: in all layers (Gemma 3), in those with a window
    (Gemma 4), or past windows too.
    """

    eye: Eye
    image_token: int
    images_whole: Whole = ""

    @property
    def sense(self) -> Eye:
        return self.eye

    @property
    def mark(self) -> int:
        return self.image_token

    def joined(self, run: Pass, taken: torch.Tensor) -> Pass:
        if not self.images_whole:
            return run
        return msgspec.structs.replace(run, together=self._together(taken), whole=self.images_whole)

    @staticmethod
    def _together(taken: torch.Tensor) -> torch.Tensor:
        """Of each token [T], the number of the row of image tokens that it is in, or -1."""
        starts = taken.clone()
        starts[1:] &= ~taken[:-1]
        return (starts.cumsum(0) - 1).masked_fill(~taken, -1)
