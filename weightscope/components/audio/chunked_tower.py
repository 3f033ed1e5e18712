"""Encoders of speech that cut a spectrogram into chunks before they convolve it (Qwen2.5-Omni, arXiv 2503.20215).

Shapes: L frames of a clip, N of all chunks after the convolutions, D width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from weightscope.brief import plural
from weightscope.components.base import Component, Repeat
from weightscope.components.decoder import run_layers
from weightscope.components.feed_forward.activations import WORDS, activate
from weightscope.components.norm import Norm
from weightscope.components.projection import Projection
from weightscope.components.running import At
from weightscope.roles import Section
from weightscope.sizes import Size

if TYPE_CHECKING:
    import torch

# Attention's `Segments` are of this kind.
CHUNK = "chunk"


class ChunkedTower(Component, frozen=True, kw_only=True):
    """Convolutions over chunks of `chunk` frames of `bins` numbers, sines, layers, a norm, then matrices (`bridge`).

    `activation` is between the matrices. `marks` are vectors that stand around a clip and are not used.
    """

    name: str
    bins: Size
    chunk: Size
    width: Size
    convolutions: tuple[Component, ...]
    blocks: tuple[Repeat, ...]
    depth: int
    final_norm: Norm
    bridge: tuple[Projection, ...]
    activation: str = ""
    marks: Component | None = None
    section: Section | None = Section.AUDIO

    @property
    def glance(self) -> str:
        return (
            f"audio {plural(self.depth, 'layer')} of {self.width:,}, chunks of {self.chunk:,} frames of {self.bins:,}"
        )

    def equation(self, x: str = "spectrogram") -> str:
        return f"layers(convolutions({x}) + sines)"

    def convolved(self, chunks: torch.Tensor, lengths: Sequence[int], at: At) -> torch.Tensor:
        """Chunks [C, bins, frames] with so many frames each, others 0, to [C, fewer, D]."""
        raise NotImplementedError

    def left(self, frames: int) -> int:
        """How many frames of so many the convolutions leave."""
        raise NotImplementedError

    def vectors(self, frames: int) -> int:
        """How many vectors a clip of so many frames becomes."""
        return self.left(frames)

    def seen_together(self, clips: Sequence[int], chunks: Sequence[int]) -> list[int]:
        """Lengths of what sees each other, of clips and chunks of so many frames after the convolutions."""
        del clips
        return list(chunks)

    def pooled(self, hidden: torch.Tensor, clips: Sequence[int]) -> torch.Tensor:
        """What leaves the layers [N, D], of clips of so many frames after the convolutions, as it is."""
        del clips
        return hidden

    def hear(self, clips: Sequence[torch.Tensor], at: At) -> torch.Tensor:
        """Spectrograms [bins, L] to vectors [M, width of the language model], clip after clip."""
        import torch

        at, size = at.labelled("audio"), int(self.chunk)
        chunks = [chunk for clip in clips for chunk in torch.split(clip, size, dim=1)]
        lengths = [chunk.shape[1] for chunk in chunks]
        padded = torch.stack([torch.nn.functional.pad(chunk, (0, max(lengths) - chunk.shape[1])) for chunk in chunks])
        made = self.convolved(padded, lengths, at)
        made = made + sines(made.shape[1], int(self.width)).to(made)
        kept = [self.left(length) for length in lengths]
        hidden = torch.cat([frames[:count] for frames, count in zip(made, kept, strict=True)])
        at.stage("embeddings", "convolutions(x) + sines", hidden)
        whole = [self.left(clip.shape[1]) for clip in clips]
        within = at.apart(segments={CHUNK: self.seen_together(whole, kept)})
        hidden = self.pooled(run_layers(self.blocks, hidden, within), whole)
        hidden = at.call(self.final_norm, hidden)
        at.stage("last norm", self.final_norm.equation(), hidden)
        for number, matrix in enumerate(self.bridge):
            hidden = activate(self.activation, hidden) if number else hidden
            hidden = at.call(matrix, hidden)
        at.stage("projector", self._bridged("x"), hidden)
        return hidden

    def _bridged(self, x: str) -> str:
        for number, matrix in enumerate(self.bridge):
            x = matrix.equation(f"{WORDS.get(self.activation, self.activation)}({x})" if number else x)
        return x


def sines(count: int, width: int) -> torch.Tensor:
    """Sines, then cosines [count, width] of each place, their periods spread from 2π to 10,000 · 2π."""
    import torch

    half = width // 2
    slower = torch.exp(-math.log(10_000) / (half - 1) * torch.arange(half).float())
    turned = torch.arange(count)[:, None] * slower
    return torch.cat((turned.sin(), turned.cos()), dim=1)
