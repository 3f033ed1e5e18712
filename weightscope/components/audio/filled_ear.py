"""An ear that makes as many vectors of each clip, however long it is (Gemma 3n)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from weightscope.components.apart_tokens import ApartTokens
from weightscope.components.audio.framed_ear import ConformerEar
from weightscope.components.audio.tower import FEATURES
from weightscope.components.runnable import Inputs
from weightscope.components.running import At
from weightscope.components.sense import Layout, Seen
from weightscope.errors import UsageError

if TYPE_CHECKING:
    import torch

APART = "\n\n"


class FilledEar(ConformerEar, frozen=True, kw_only=True):
    """A clip becomes `each` vectors: those of its frames, then that of the token `filler` again and again.

    The convolutions also see the frames that only fill up a clip. Two line ends stand before and after a clip.
    """

    bridge: ApartTokens
    each: int
    filler: int

    def counts(self, inputs: Inputs) -> tuple[int, ...]:
        return (self.each,) * len(self.lengths(inputs))

    def layouts(self, inputs: Inputs) -> Sequence[Layout]:
        return [(APART, *layout, APART) for layout in super().layouts(inputs)]

    def kept(self, inputs: Inputs) -> list[int]:
        """How many frames of each clip leave the convolutions: those whose first frame is no filling.

        Raises:
            UsageError: more than there is room for.
        """
        step, stem, frames = self.tower.stem.step, self.tower.stem, inputs[FEATURES].shape[1]
        kept = [min(-(-length // step), stem.frames(frames)) for length in self.lengths(inputs)]
        if (most := self.tower.left(stem.frames(frames))) > self.each:
            raise UsageError(f"{FEATURES} of {frames:,} frames make {most:,} vectors, and a clip has {self.each:,}")
        return kept

    def see(self, inputs: Inputs, at: At) -> Seen:
        import torch

        kept, place = self.kept(inputs), at.below(self.bridge)
        heard = self.bridge.forward(self.tower.hear(list(inputs[FEATURES]), kept, at.below(self.tower)), place)
        filler = self.bridge.looked_up(torch.tensor([self.filler], device=heard.device), place)
        found: list[torch.Tensor] = []
        for clip in torch.split(heard, [self.tower.left(count) for count in kept]):
            found += [clip, filler.expand(self.each - len(clip), -1)]
        vectors = torch.cat(found)
        at.labelled("audio").stage("projector", self.bridge.equation(), vectors)
        return Seen(vectors)
