"""An ear that has one bridge for clips alone and another for clips beside images (Phi-4-multimodal)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from weightscope.components.audio.ear import Ear
from weightscope.components.audio.unfolded_tower import UnfoldedTower
from weightscope.components.runnable import Inputs
from weightscope.components.running import At
from weightscope.components.sense import Seen, whole_numbers
from weightscope.components.vision.projector import Projector
from weightscope.errors import UsageError

if TYPE_CHECKING:
    import torch

CLIPS, SIZES, MASK = "audio_input_features", "audio_embed_sizes", "audio_attention_mask"


class ProjectedEar(Ear, frozen=True, kw_only=True):
    """The first vectors of each clip are used, as many as the processor counts. `pixels` names what images come as."""

    takes: ClassVar[tuple[str, ...]] = (CLIPS, SIZES, MASK)
    needs: ClassVar[tuple[str, ...]] = (CLIPS, SIZES)

    tower: UnfoldedTower
    alone: Projector
    beside_images: Projector
    pixels: str

    def counts(self, inputs: Inputs) -> tuple[int, ...]:
        clips, bins = inputs[self.takes[0]], int(self.tower.norm.bins)
        shaped = clips.ndim == 3 and all(clips.shape) and clips.is_floating_point()
        if not shaped or clips.shape[2] != bins:
            raise UsageError(
                f"{self.takes[0]} has shape {list(clips.shape)} ({clips.dtype}), not [clips, frames, {bins}] (floats)"
            )
        counts, most = whole_numbers(inputs, SIZES), self.tower.stem.frames(clips.shape[1])
        if len(counts) != len(clips) or not all(0 < count <= most for count in counts):
            raise UsageError(f"{SIZES} is {counts!r:.60}, and each of {len(clips):,} clips has 1 to {most:,} vectors")
        self._lengths(inputs)
        return tuple(counts)

    def see(self, inputs: Inputs, at: At) -> Seen:
        import torch

        heard = self.tower.hear(inputs[self.takes[0]], self._lengths(inputs), at.below(self.tower))
        kept = torch.cat([clip[:count] for clip, count in zip(heard, self.counts(inputs), strict=True)])
        bridge = self.beside_images if self.pixels in inputs else self.alone
        return Seen(at.labelled("audio").call(bridge, kept))

    def _lengths(self, inputs: Inputs) -> torch.Tensor | None:
        """How many frames each clip has without those that only fill up; None where no mask tells.

        Raises:
            UsageError: the mask does not fit the clips.
        """
        mask, clips = inputs.get(MASK), inputs[self.takes[0]]
        if mask is None:
            return None
        if mask.shape != clips.shape[:2] or not ((mask == 0) | (mask == 1)).all():
            raise UsageError(
                f"{MASK} has shape {list(mask.shape)}, and the clips need {list(clips.shape[:2])} of 0 and 1"
            )
        return mask.sum(1)


class PublishedEar(ProjectedEar, frozen=True, kw_only=True):
    """The same under the names of Microsoft's own processor."""

    takes: ClassVar[tuple[str, ...]] = ("input_audio_embeds", SIZES, MASK)
    needs: ClassVar[tuple[str, ...]] = ("input_audio_embeds", SIZES)
