"""An ear for clips of any length, padded to one and masked: Gemma 4 (Google 2026)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar

from weightscope.components.audio.conformer_tower import ConformerTower
from weightscope.components.audio.ear import Ear
from weightscope.components.audio.tower import FEATURES
from weightscope.components.base import Component
from weightscope.components.runnable import Inputs
from weightscope.components.running import At
from weightscope.components.sense import Layout, Seen, Token
from weightscope.errors import UsageError

if TYPE_CHECKING:
    import torch

FRAMES = "input_features_mask"


class ConformerEar(Ear, frozen=True, kw_only=True):
    """Frames that the mask hides are left out. `begin` and `end` are the tokens around a clip, None for none."""

    takes: ClassVar[tuple[str, ...]] = (FEATURES, FRAMES)
    needs: ClassVar[tuple[str, ...]] = (FEATURES, FRAMES)

    tower: ConformerTower
    bridge: Component
    begin: int | None
    end: int | None

    def children(self) -> Iterable[Component]:
        return self.tower, self.bridge

    def counts(self, inputs: Inputs) -> tuple[int, ...]:
        return tuple(self.tower.stem.halved(len(clip)) for clip in self._clips(inputs))

    def layouts(self, inputs: Inputs) -> Sequence[Layout]:
        before, after = (() if token is None else (Token(int(token)),) for token in (self.begin, self.end))
        return [(*before, count, *after) for count in self.counts(inputs)]

    def see(self, inputs: Inputs, at: At) -> Seen:
        vectors = at.call(self.bridge, self.tower.hear(self._clips(inputs), at.below(self.tower)))
        at.labelled("audio").stage("projector", self.bridge.equation(), vectors)
        return Seen(vectors)

    def _clips(self, inputs: Inputs) -> list[torch.Tensor]:
        """The frames [frames, bins] of each clip, without those that only fill up.

        Raises:
            UsageError: the arrays' shapes do not fit each other or the tower; a mask that hides a frame before others.
        """
        clips, mask = inputs[FEATURES], inputs[FRAMES]
        stem = self.tower.stem
        wanted = int(stem.frequencies)
        if clips.ndim != 3 or not len(clips) or stem.halved(clips.shape[2]) != wanted or not clips.is_floating_point():
            raise UsageError(
                f"{FEATURES} has shape {list(clips.shape)} ({clips.dtype}), not [clips, frames, bins] (floats), where"
                f" the convolutions leave {wanted} of the bins"
            )
        if mask.shape != clips.shape[:2]:
            raise UsageError(f"{FRAMES} has shape {list(mask.shape)}, and the clips need {list(clips.shape[:2])}")
        kept = mask.bool()
        if not kept[:, :1].all() or (kept[:, 1:] & ~kept[:, :-1]).any():
            raise UsageError(f"{FRAMES} hides frames before others: those that a clip has come first")
        return [clip[: int(there.sum())] for clip, there in zip(clips, kept, strict=True)]
