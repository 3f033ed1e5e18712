"""An encoder of speech over spectrograms of any length (Speech2Text, arXiv 2010.05171)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from weightscope.brief import plural
from weightscope.components.audio.convolutions import TimeConvolution
from weightscope.components.audio.tower import FEATURES, MASK
from weightscope.components.base import Component, Repeat
from weightscope.components.decoder import run_layers
from weightscope.components.embedding import Embedding
from weightscope.components.halves import Source
from weightscope.components.norm import Norm
from weightscope.components.runnable import Inputs
from weightscope.components.running import At
from weightscope.components.sinusoids import Sinusoids
from weightscope.errors import UsageError
from weightscope.roles import Section
from weightscope.sizes import Size

if TYPE_CHECKING:
    import torch


class SubsampledSpeech(Source, frozen=True, kw_only=True):
    """Convolutions, each of which halves the frames, sines and cosines, layers, a norm.

    What leaves the convolutions is multiplied by `scale`. Frames after those that the mask keeps are left out.
    """

    takes: ClassVar[tuple[str, ...]] = (FEATURES, MASK)
    takes_tokens: ClassVar[bool] = False

    width: Size
    bins: Size
    convolutions: tuple[TimeConvolution, ...]
    waves: Sinusoids
    blocks: tuple[Repeat, ...]
    final_norm: Norm
    scale: float
    section: Section | None = Section.AUDIO

    def children(self) -> Iterable[Component]:
        return *self.convolutions, self.waves, *self.blocks, self.final_norm

    @property
    def glance(self) -> str:
        return f"audio {plural(self.depth, 'layer')} of {self.width:,}, frames of {self.bins:,}"

    def checked(self, inputs: Inputs) -> None:
        if FEATURES not in inputs:
            raise UsageError(f"{FEATURES} is missing", hint="give the arrays of the model's processor")
        given, bins = inputs[FEATURES], int(self.bins)
        if given.ndim != 3 or given.shape[0] != 1 or given.shape[2] != bins or not given.is_floating_point():
            raise UsageError(
                f"{FEATURES} has shape {list(given.shape)} ({given.dtype}), not [1, frames, {bins}] (floats)"
            )
        frames = given.shape[1]
        if not frames:
            raise UsageError(f"{FEATURES} has no frames")
        mask = inputs.get(MASK)
        if mask is None:
            return
        if mask.numel() != frames or not ((mask == 0) | (mask == 1)).all():
            raise UsageError(f"{MASK} has shape {list(mask.shape)}, and the {frames:,} frames need as many of 0 and 1")
        if not mask.any():
            raise UsageError(f"{MASK} hides all frames")

    def read(self, tokens: torch.Tensor, table: Embedding, at: At) -> torch.Tensor:
        del tokens, table
        at = at.below(self).labelled("audio")
        x = at.run.inputs[FEATURES].transpose(1, 2)
        for number, convolution in enumerate(self.convolutions, 1):
            x = at.call(convolution, x)
            at.stage(f"convolution {number}", convolution.equation(), x[0])
        hidden = self._kept(x[0].T, at.run.inputs) * self.scale
        hidden = hidden + at.call(self.waves, self._places(hidden))
        at.stage("embeddings", f"x · {self.scale:.5g} + position_embedding", hidden)
        hidden = run_layers(self.blocks, hidden, at)
        hidden = at.call(self.final_norm, hidden)
        at.stage("final norm", self.final_norm.equation(), hidden)
        return hidden

    def _kept(self, hidden: torch.Tensor, inputs: Inputs) -> torch.Tensor:
        """The frames [N, width] that come of those that the mask keeps."""
        if MASK not in inputs:
            return hidden
        length = int(inputs[MASK].sum())
        for _ in self.convolutions:
            length = (length - 1) // 2 + 1
        return hidden[:length]

    def _places(self, hidden: torch.Tensor) -> torch.Tensor:
        """The positions [N]: none where the padding token is 0, because transformers writes frames as zeros."""
        import torch

        places = torch.arange(len(hidden), device=hidden.device)
        return places if self.waves.offset > 1 else torch.full_like(places, -1)
