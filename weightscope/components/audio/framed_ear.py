"""Ears for clips of any length, padded to one and masked: Gemma 4 (Google 2026)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from weightscope.components.audio.conformer_tower import ConformerTower
from weightscope.components.audio.ear import Ear
from weightscope.components.audio.tower import FEATURES
from weightscope.components.base import Component
from weightscope.components.runnable import Inputs
from weightscope.components.running import At
from weightscope.components.sense import Layout, Seen, between
from weightscope.components.vision.normed import NormedProjector
from weightscope.errors import UsageError

if TYPE_CHECKING:
    import torch

FRAMES = "input_features_mask"


class FramedEar(Ear, frozen=True, kw_only=True):
    """Frames that the mask hides are left out. `begin` and `end` are the tokens around a clip, None for none."""

    takes: ClassVar[tuple[str, ...]] = (FEATURES, FRAMES)
    needs: ClassVar[tuple[str, ...]] = (FEATURES, FRAMES)

    begin: int | None
    end: int | None

    def left(self, frames: int) -> int:
        """How many vectors come of so many frames."""
        raise NotImplementedError

    def misfit(self, numbers: int) -> str:
        """Why frames of so many numbers do not fit; empty where they do."""
        raise NotImplementedError

    def counts(self, inputs: Inputs) -> tuple[int, ...]:
        return tuple(map(self.left, self.lengths(inputs)))

    def layouts(self, inputs: Inputs) -> Sequence[Layout]:
        return [between(self.begin, count, self.end) for count in self.counts(inputs)]

    def lengths(self, inputs: Inputs) -> list[int]:
        """How many frames each clip has, without those that only fill up.

        Raises:
            UsageError: the arrays' shapes do not fit each other or the tower; a mask that hides a frame before others.
        """
        clips, mask = inputs[FEATURES], inputs[FRAMES]
        shaped = clips.ndim == 3 and len(clips) and clips.is_floating_point()
        why = self.misfit(clips.shape[2]) if shaped else "[clips, frames, numbers] (floats) are taken"
        if why:
            raise UsageError(f"{FEATURES} has shape {list(clips.shape)} ({clips.dtype}): {why}")
        if mask.shape != clips.shape[:2]:
            raise UsageError(f"{FRAMES} has shape {list(mask.shape)}, and the clips need {list(clips.shape[:2])}")
        kept = mask.bool()
        if not kept[:, :1].all() or (kept[:, 1:] & ~kept[:, :-1]).any():
            raise UsageError(f"{FRAMES} hides frames before others: those that a clip has come first")
        return [int(there.sum()) for there in kept]

    def clips(self, inputs: Inputs) -> list[torch.Tensor]:
        """The frames [frames, numbers] of each clip, without those that only fill up."""
        return [clip[:length] for clip, length in zip(inputs[FEATURES], self.lengths(inputs), strict=True)]


class ConformerEar(FramedEar, frozen=True, kw_only=True):
    """A conformer over spectrograms."""

    tower: ConformerTower
    bridge: Component

    def left(self, frames: int) -> int:
        return self.tower.stem.frames(frames)

    def misfit(self, numbers: int) -> str:
        left, wanted = self.tower.stem.bins(numbers), int(self.tower.stem.frequencies)
        return "" if left == wanted else f"the convolutions leave {left} of {numbers} bins, and {wanted} are taken"

    def see(self, inputs: Inputs, at: At) -> Seen:
        heard = self.tower.hear(self.clips(inputs), self.counts(inputs), at.below(self.tower))
        vectors = at.call(self.bridge, heard)
        at.labelled("audio").stage("projector", self.bridge.equation(), vectors)
        return Seen(vectors)


class BareEar(FramedEar, frozen=True, kw_only=True):
    """No tower: frames of samples go through the bridge alone (Gemma 4 12B)."""

    bridge: NormedProjector

    def left(self, frames: int) -> int:
        return frames

    def misfit(self, numbers: int) -> str:
        wanted = int(self.bridge.inputs)
        return "" if numbers == wanted else f"frames of {wanted} samples are taken"

    def see(self, inputs: Inputs, at: At) -> Seen:
        import torch

        vectors = at.call(self.bridge, torch.cat(self.clips(inputs)))
        at.labelled("audio").stage("projector", self.bridge.equation("frame"), vectors)
        return Seen(vectors)
