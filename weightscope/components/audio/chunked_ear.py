"""An ear for clips of any length, which a mask tells (Qwen2.5-Omni, Qwen3-Omni)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from weightscope.components.audio.chunked_tower import ChunkedTower
from weightscope.components.audio.ear import FEATURE_MASK
from weightscope.components.audio.tower import FEATURES
from weightscope.components.runnable import Inputs
from weightscope.components.running import At
from weightscope.components.sense import Seen, Sense
from weightscope.errors import UsageError

if TYPE_CHECKING:
    import torch


class ChunkedEar(Sense, frozen=True, kw_only=True):
    """`tower` makes the vectors of the frames that the mask does not hide."""

    takes: ClassVar[tuple[str, ...]] = (FEATURES, FEATURE_MASK)
    needs: ClassVar[tuple[str, ...]] = (FEATURES, FEATURE_MASK)
    thing: ClassVar[str] = "audio clip"
    question: ClassVar[str] = "What is said in this recording?"

    tower: ChunkedTower

    def clips(self, inputs: Inputs) -> list[torch.Tensor]:
        """The frames [bins, L] of each clip.

        Raises:
            UsageError: the spectrograms or the mask have other shapes, or a clip is too short for a vector.
        """
        features, mask, bins = inputs[FEATURES], inputs[FEATURE_MASK], int(self.tower.bins)
        if features.ndim != 3 or features.shape[1] != bins or not features.numel() or not features.is_floating_point():
            raise UsageError(f"{FEATURES} has shape {list(features.shape)}, not [clips, {bins}, frames] of floats")
        wanted = [features.shape[0], features.shape[2]]
        if list(mask.shape) != wanted or not ((mask == 0) | (mask == 1)).all():
            raise UsageError(f"{FEATURE_MASK} has shape {list(mask.shape)}, and the clips need {wanted} of 0 and 1")
        found = [clip[:, kept] for clip, kept in zip(features, mask.bool(), strict=True)]
        shortest = min(clip.shape[1] for clip in found)
        if not shortest or not self.tower.vectors(shortest):
            raise UsageError(f"{FEATURE_MASK} leaves a clip of {shortest} frames, too few for a vector")
        return found

    def counts(self, inputs: Inputs) -> tuple[int, ...]:
        return tuple(self.tower.vectors(clip.shape[1]) for clip in self.clips(inputs))

    def see(self, inputs: Inputs, at: At) -> Seen:
        return Seen(self.tower.hear(self.clips(inputs), at.below(self.tower)))
