"""A tower that merges squares of patches within itself, after attention of each square to itself (MiniCPM-V 4.6).

Source: `MiniCPMV4_6VisionModel` of transformers. Legend: N patches of all images, D the tower's width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from weightscope.brief import plural
from weightscope.components.attention.softmax import Attention
from weightscope.components.base import Component, Repeat
from weightscope.components.decoder import run_layers
from weightscope.components.norm import Norm
from weightscope.components.running import At
from weightscope.components.vision.blocks import depth_of
from weightscope.components.vision.encoder import PatchEmbedding
from weightscope.components.vision.grids import Grid, by_squares, frames
from weightscope.components.vision.merger import PatchMerger
from weightscope.roles import Section

if TYPE_CHECKING:
    import torch


class WindowMerger(Component, frozen=True, kw_only=True):
    """X + attention(norm(x)) within each square of patches, whose mean `merger` adds to: one vector for each."""

    name: str
    norm: Norm
    attention: Attention
    merger: PatchMerger

    def equation(self, x: str = "x") -> str:
        return f"mean(y) + {self.merger.equation('y')},  y = {x} + attention({self.norm.word}({x}))"

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Patches [N, D], square by square, to [N / square, D]."""
        square = self.merger.square
        within = at.apart(segments={"window": [square] * (len(x) // square)})
        x = x + within.call(self.attention, at.call(self.norm, x))
        mean: torch.Tensor = x.unflatten(0, (-1, square)).mean(1)  # type: ignore[no-untyped-call]
        return at.call(self.merger, x) + mean


class WindowedTower(Component, frozen=True, kw_only=True):
    """`before` are the layers before the merger, `after` those after it. Where it `skips` that, no pass uses it."""

    name: str
    patches: PatchEmbedding
    before: tuple[Repeat, ...]
    merger: WindowMerger
    after: tuple[Repeat, ...]
    post_norm: Norm
    skips: bool
    section: Section | None = Section.VISION

    @property
    def glance(self) -> str:
        depth = depth_of((*self.before, *self.after))
        return f"vision {plural(depth, 'layer')} of {self.patches.width:,}, patches of {self.patches.patch} px"

    def see(self, x: torch.Tensor, grids: Sequence[Grid], places: torch.Tensor, at: At) -> torch.Tensor:
        """One row of the patches of all images, with the place of each in the table of positions, to features [N, D].

        They come row by row; where squares are merged, N is the number of these.
        """
        at = at.labelled("vision")
        hidden = self.patches.placed(x, at.below(self.patches), places[None])
        at.stage("patch embedding", self.patches.equation(), hidden)
        hidden = run_layers(self.before, hidden, at.apart(segments={"image": frames(grids)}))
        if not self.skips:
            hidden = at.call(self.merger, hidden[by_squares(grids, 2).to(hidden.device)])
            at.stage("merged patches", self.merger.equation(), hidden)
            grids = halved(grids)
        hidden = run_layers(self.after, hidden, at.apart(segments={"image": frames(grids)}))
        hidden = at.call(self.post_norm, hidden)
        at.stage("last norm", self.post_norm.equation(), hidden)
        return hidden


def halved(grids: Sequence[Grid]) -> list[Grid]:
    """The grids of squares of 2 × 2."""
    return [(count, height // 2, width // 2) for count, height, width in grids]
