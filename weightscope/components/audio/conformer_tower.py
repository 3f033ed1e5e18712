"""An encoder of speech over spectrograms of any length: a conformer (Gemma 3n, Gemma 4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from weightscope.brief import plural
from weightscope.components.audio.spectrogram import SpectrogramStem
from weightscope.components.audio.tower import CLIP
from weightscope.components.base import Component, Repeat
from weightscope.components.decoder import run_layers
from weightscope.components.projection import Projection
from weightscope.components.running import At
from weightscope.components.vision.blocks import depth_of
from weightscope.roles import Section
from weightscope.sizes import Size

if TYPE_CHECKING:
    import torch


class ConformerTower(Component, frozen=True, kw_only=True):
    """Convolutions over time and frequency, the layers, one matrix; every `every`th frame leaves it."""

    width: Size
    stem: SpectrogramStem
    blocks: tuple[Repeat, ...]
    out: Projection | None = None
    every: int = 1
    section: Section | None = Section.AUDIO

    @property
    def glance(self) -> str:
        return f"audio {plural(depth_of(self.blocks), 'layer')} of {self.width:,}"

    def left(self, frames: int) -> int:
        """How many frames leave the layers of so many that leave the convolutions."""
        return -(-frames // self.every)

    def hear(self, clips: Sequence[torch.Tensor], kept: Sequence[int], at: At) -> torch.Tensor:
        """Clips [frames, bins], each of its own length, to the frames of all [N, width of the output].

        Of what leaves the convolutions the first `kept` frames of each clip are used.
        """
        import torch

        at = at.labelled("audio")
        made = [at.call(self.stem, clip)[:count] for clip, count in zip(clips, kept, strict=True)]
        hidden = torch.cat(made)
        at.stage("embeddings", self.stem.equation("the convolutions"), hidden)
        hidden = run_layers(self.blocks, hidden, at.apart(segments={CLIP: list(kept)}))
        if self.every > 1:
            hidden = torch.cat([clip[:: self.every] for clip in torch.split(hidden, list(kept))])
        if self.out:
            hidden = at.call(self.out, hidden)
            at.stage("output projection", self.out.equation(), hidden)
        return hidden
