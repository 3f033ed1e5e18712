"""An encoder of sounds alone: the vector of a clip (CLAP, arXiv 2211.06687)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from weightscope.components.audio.spectrogram_encoder import SpectrogramEncoder
from weightscope.components.base import Group
from weightscope.components.runnable import Inputs, Runnable
from weightscope.components.running import At
from weightscope.components.vision.projector import Projector

if TYPE_CHECKING:
    import torch


class SoundEncoder(Runnable, frozen=True, kw_only=True):
    """The mean of all patches, through a projector where there is one; the tower lies within `ear`."""

    takes_tokens: ClassVar[bool] = False

    ear: Group
    projection: Projector | None

    @property
    def tower(self) -> SpectrogramEncoder:
        """What hears."""
        (tower,) = self.ear.parts
        assert isinstance(tower, SpectrogramEncoder)
        return tower

    @property
    def takes(self) -> tuple[str, ...]:
        return self.tower.takes

    def checked(self, inputs: Inputs, tokens: tuple[int, ...]) -> None:
        super().checked(inputs, tokens)
        self.tower.checked(inputs)

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """The pass's sound to a vector [1, width]."""
        del x
        sound = self.tower.heard(at.run.inputs, at.below(self.ear).below(self.tower))
        at.stage("pooled", "mean(patches)", sound)
        return self.projection.forward(sound, at.below(self.projection).labelled("audio")) if self.projection else sound
