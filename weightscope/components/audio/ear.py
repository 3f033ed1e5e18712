"""Ears: what a language model makes of spectrograms before it gets them (Qwen2-Audio, arXiv 2407.10759; Voxtral)."""

from __future__ import annotations

from typing import ClassVar

from weightscope.components.audio.tower import FEATURES, SpeechTower
from weightscope.components.base import Component
from weightscope.components.runnable import Inputs
from weightscope.components.running import At
from weightscope.components.sense import Seen, Sense
from weightscope.errors import UsageError

FEATURE_MASK = "feature_attention_mask"


class Ear(Sense, frozen=True, kw_only=True):
    """An encoder of speech and the bridge to the language model."""

    takes: ClassVar[tuple[str, ...]] = (FEATURES,)
    needs: ClassVar[tuple[str, ...]] = (FEATURES,)
    thing: ClassVar[str] = "audio clip"
    question: ClassVar[str] = "What is said in this recording?"


class WhisperEar(Ear, frozen=True, kw_only=True):
    """The encoder is Whisper's."""

    tower: SpeechTower
    bridge: Component


class StackingEar(WhisperEar, frozen=True, kw_only=True):
    """Frames side by side, as many as make up `stacked` numbers, become one vector: four in Voxtral."""

    stacked: int

    def counts(self, inputs: Inputs) -> tuple[int, ...]:
        numbers = int(self.tower.places.rows) * int(self.tower.width)
        if numbers % self.stacked:
            raise UsageError(f"a clip is {numbers:,} numbers after the tower, and a vector takes {self.stacked:,}")
        return (numbers // self.stacked,) * len(self.tower.clips(inputs))

    def see(self, inputs: Inputs, at: At) -> Seen:
        (heard,) = self.tower.features(self.tower.clips(inputs), at.below(self.tower))
        return Seen(at.call(self.bridge, heard.reshape(-1, self.stacked)))


class MaskedEar(WhisperEar, frozen=True, kw_only=True):
    """No frame sees those that the mask hides, and they become no vectors; the tower pools the others by twos."""

    takes: ClassVar[tuple[str, ...]] = (FEATURES, FEATURE_MASK)
    needs: ClassVar[tuple[str, ...]] = (FEATURES, FEATURE_MASK)

    def lengths(self, inputs: Inputs) -> list[int]:
        """How many frames of each clip are left after the convolutions.

        Raises:
            UsageError: the mask does not fit the clips, or hides one of them.
        """
        clips, mask = self.tower.clips(inputs), inputs[FEATURE_MASK]
        if mask.shape != (len(clips), clips.shape[2]) or not ((mask == 0) | (mask == 1)).all():
            wanted = f"[{len(clips)}, {clips.shape[2]:,}] of 0 and 1"
            raise UsageError(f"{FEATURE_MASK} has shape {list(mask.shape)}, and the clips need {wanted}")
        kept: list[int] = mask.sum(1).tolist()
        lengths = [(int(frames) - 1) // 2 + 1 for frames in kept]
        if min(lengths) < self.tower.pool:
            raise UsageError(f"{FEATURE_MASK} leaves a clip of {min(map(int, kept))} frames, too few for a vector")
        return lengths

    def counts(self, inputs: Inputs) -> tuple[int, ...]:
        return tuple(length // self.tower.pool for length in self.lengths(inputs))

    def see(self, inputs: Inputs, at: At) -> Seen:
        import torch

        clips, rows = self.tower.clips(inputs), int(self.tower.places.rows)
        lengths = torch.tensor(self.lengths(inputs), device=clips.device)
        unseen = torch.arange(rows, device=clips.device) >= lengths[:, None]
        (heard,) = self.tower.features(clips, at.below(self.tower), unseen=unseen.flatten())
        pool = self.tower.pool
        there = torch.arange(self.tower.vectors, device=clips.device) < (lengths // pool)[:, None]
        return Seen(at.call(self.bridge, heard[there.flatten()]))
