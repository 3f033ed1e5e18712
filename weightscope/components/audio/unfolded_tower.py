"""Phi-4-multimodal's encoder of speech: a conformer over pieces of a clip of at most 500 frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightscope.brief import plural
from weightscope.components.attention.shared_table import SharedTable
from weightscope.components.audio.heard_attention import HEARD
from weightscope.components.audio.separable_stem import FeatureNorm, SeparableStem
from weightscope.components.audio.tower import CLIP
from weightscope.components.base import Component, Repeat
from weightscope.components.decoder import run_layers
from weightscope.components.running import At
from weightscope.components.vision.blocks import depth_of
from weightscope.errors import NotImplementedByWeightscope
from weightscope.roles import Section
from weightscope.sizes import Size

if TYPE_CHECKING:
    import torch

# Longer clips are cut into pieces of so many frames, the last one filled up with zeros.
LONGEST = 500


class UnfoldedTower(Component, frozen=True, kw_only=True):
    """A scale for each bin, convolutions, layers whose attention has one table of distances.

    The class takes `reduction` for how many frames become one.
    """

    norm: FeatureNorm
    stem: SeparableStem
    distances: SharedTable
    blocks: tuple[Repeat, ...]
    width: Size
    reduction: int
    section: Section | None = Section.AUDIO

    @property
    def glance(self) -> str:
        return f"audio {plural(depth_of(self.blocks), 'layer')} of {self.width:,}"

    def hear(self, clips: torch.Tensor, lengths: torch.Tensor | None, at: At) -> torch.Tensor:
        """Clips [C, N, bins] to [C, fewer frames, width]; `lengths` [C] are those of the clips without filling.

        Raises:
            NotImplementedByWeightscope: a reduction that the convolutions do not make; several clips that are long.
        """
        if self.reduction != 1 << len(self.stem.halvings):
            raise NotImplementedByWeightscope(
                f"a time_reduction of {self.reduction:,} is not implemented: convolutions halve the frames"
            )
        at = at.labelled("audio")
        hidden = at.call(self.stem, at.call(self.norm, clips))
        at.stage("embeddings", self.stem.equation(self.norm.equation("the clips")), hidden.flatten(0, 1))
        count = hidden.shape[1]
        if count > LONGEST:
            if len(clips) > 1:
                raise NotImplementedByWeightscope(
                    f"several clips, of which one has more than {LONGEST} frames after the convolutions, are not "
                    "implemented: the model's own code fails on them",
                    hint="give one clip only",
                )
            hidden = _pieces(hidden)
        within = at.apart(segments={CLIP: [hidden.shape[1]] * len(hidden)})
        within.run.shared[HEARD] = self._heard(hidden, lengths)
        self.distances.leave(at.below(self.distances), within)
        out = run_layers(self.blocks, hidden.flatten(0, 1), within)
        return out.reshape(len(clips), -1, out.shape[-1])[:, :count]

    def _heard(self, hidden: torch.Tensor, lengths: torch.Tensor | None) -> torch.Tensor:
        """True [P, N] where a frame of the pieces [P, N, width] is no filling; of all where no mask tells."""
        import torch

        if lengths is None:
            return torch.ones(hidden.shape[:2], dtype=torch.bool, device=hidden.device)
        pieces, frames = hidden.shape[:2]
        places = torch.arange(pieces * frames // len(lengths), device=hidden.device)
        return (places < torch.ceil(lengths / self.reduction)[:, None]).reshape(pieces, frames)


def _pieces(x: torch.Tensor) -> torch.Tensor:
    """[C, N, W] as pieces of `LONGEST` frames, one clip's after another's, zeros at the end of each clip's last."""
    import torch

    padded = torch.nn.functional.pad(x, (0, 0, 0, -x.shape[1] % LONGEST))
    return padded.reshape(-1, LONGEST, x.shape[-1])
