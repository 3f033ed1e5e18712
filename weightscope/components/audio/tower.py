"""An encoder of speech over spectrograms of one length (Whisper, arXiv 2212.04356)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from typing import TYPE_CHECKING, ClassVar

from weightscope.brief import plural
from weightscope.components.audio.convolutions import TimeConvolution
from weightscope.components.base import Component, Repeat
from weightscope.components.embedding import Embedding
from weightscope.components.halves import Source
from weightscope.components.norm import Norm
from weightscope.components.runnable import Inputs
from weightscope.components.running import At
from weightscope.components.vision.blocks import outputs_of
from weightscope.errors import UsageError
from weightscope.roles import Section
from weightscope.sizes import Size

if TYPE_CHECKING:
    import torch

FEATURES, MASK = "input_features", "attention_mask"
# Attention's `Segments` are of this kind: a frame sees all frames of its own clip.
CLIP = "clip"


class SpeechTower(Source, frozen=True, kw_only=True):
    """Convolutions, learned positions, layers in which all frames of a clip see each other, a norm.

    A clip is as many frames of `bins` numbers as its positions allow. Its processor's mask is not used: silence is a
    part of the clip. The mean of each `pool` frames leaves the layers (Qwen2-Audio).
    """

    takes: ClassVar[tuple[str, ...]] = (FEATURES, MASK)
    takes_tokens: ClassVar[bool] = False

    width: Size
    bins: Size
    convolutions: tuple[TimeConvolution, ...]
    places: Embedding
    blocks: tuple[Repeat, ...]
    final_norm: Norm
    pool: int = 1
    section: Section | None = Section.AUDIO

    def children(self) -> Iterable[Component]:
        return *self.convolutions, self.places, *self.blocks, self.final_norm

    @property
    def frames(self) -> int:
        """Frames of a clip."""
        return int(self.places.rows) * prod(convolution.stride for convolution in self.convolutions)

    @property
    def vectors(self) -> int:
        """Those of one clip."""
        return int(self.places.rows) // self.pool

    @property
    def glance(self) -> str:
        return (
            f"audio {plural(self.depth, 'layer')} of {self.width:,}, clips of {self.frames:,} frames of {self.bins:,}"
        )

    def checked(self, inputs: Inputs) -> None:
        if len(self.clips(inputs)) > 1:
            raise UsageError(f"{FEATURES}: give one clip only")

    def clips(self, inputs: Inputs) -> torch.Tensor:
        """The spectrograms [clips, bins, frames] among the inputs.

        Raises:
            UsageError: there are none, or of another shape.
        """
        if FEATURES not in inputs:
            raise UsageError(f"{FEATURES} is missing", hint="give the arrays of the model's processor")
        clips = inputs[FEATURES]
        bins, frames = int(self.bins), self.frames
        if clips.ndim != 3 or clips.shape[1:] != (bins, frames) or not len(clips) or not clips.is_floating_point():
            raise UsageError(
                f"{FEATURES} has shape {list(clips.shape)} ({clips.dtype}), not [clips, {bins}, {frames:,}] (floats)"
            )
        return clips

    def read(self, tokens: torch.Tensor, table: Embedding, at: At) -> torch.Tensor:
        del tokens, table
        (heard,) = self.features(self.clips(at.run.inputs), at.below(self))
        return heard

    def features(
        self, clips: torch.Tensor, at: At, layers: Sequence[int] = (-1,), *, unseen: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, ...]:
        """What each of `layers` puts out, [clips · N, width], of spectrograms [clips, bins, frames].

        0 is what enters the first, -1 what leaves the last, pooled and through the norm. No frame sees those that are
        true in `unseen` [clips · N].
        """
        import torch

        at = at.labelled("audio")
        for number, convolution in enumerate(self.convolutions, 1):
            clips = at.call(convolution, clips)
            at.stage(f"convolution {number}", convolution.equation(), clips.flatten(0, 1))
        hidden = clips.transpose(1, 2) + at.call(self.places, torch.arange(clips.shape[2], device=clips.device))
        at.stage("embeddings", "x + position_embedding", hidden.flatten(0, 1))
        within = at.apart(segments={CLIP: [clips.shape[2]] * len(clips)}, unseen=unseen)
        found = outputs_of(self.blocks, hidden.flatten(0, 1), within, layers)
        return tuple(
            self._left(out, len(clips), at) if layer in (-1, self.depth) else out
            for out, layer in zip(found, layers, strict=True)
        )

    def _left(self, hidden: torch.Tensor, clips: int, at: At) -> torch.Tensor:
        """What leaves the last layer [clips · N, width], pooled and through the norm."""
        if self.pool > 1:
            by_clip = hidden.unflatten(0, (clips, -1))  # type: ignore[no-untyped-call]
            whole = by_clip[:, : by_clip.shape[1] // self.pool * self.pool]
            hidden = whole.unflatten(1, (-1, self.pool)).mean(2).flatten(0, 1)
            at.stage("pooled frames", f"mean of {self.pool} frames", hidden)
        hidden = at.call(self.final_norm, hidden)
        at.stage("final norm", self.final_norm.equation(), hidden)
        return hidden
