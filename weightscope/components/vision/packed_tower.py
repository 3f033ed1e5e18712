"""A vision tower over images of any size: the patches of each row by row, all images in one sequence (Pixtral)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from weightscope.brief import plural
from weightscope.components.base import Repeat
from weightscope.components.norm import Norm
from weightscope.components.runnable import PIXELS, Inputs, Runnable
from weightscope.components.running import At
from weightscope.components.vision.blocks import depth_of, outputs_of
from weightscope.components.vision.grids import Grid, frames, places
from weightscope.components.vision.padded import IMAGE_SIZES, cut
from weightscope.components.vision.patches import PatchProjection
from weightscope.components.vision.resized_positions import ResizedPositions
from weightscope.errors import UsageError
from weightscope.roles import Section

if TYPE_CHECKING:
    import torch


class PackedTower(Runnable, frozen=True, kw_only=True):
    """Patches through the layers. Alone it takes images of several sizes, padded to one (Pixtral)."""

    takes_tokens: ClassVar[bool] = False

    name: str
    patches: PatchProjection
    positions: ResizedPositions | None = None
    pre_norm: Norm | None = None
    blocks: tuple[Repeat, ...]
    post_norm: Norm | None = None
    section: Section | None = Section.VISION

    @property
    def takes(self) -> tuple[str, ...]:
        return PIXELS, IMAGE_SIZES

    @property
    def processor(self) -> str:
        return "PixtralImageProcessor"

    @property
    def depth(self) -> int:
        """How many layers it has."""
        return depth_of(self.blocks)

    @property
    def glance(self) -> str:
        return f"vision {plural(self.depth, 'layer')} of {self.patches.width:,}, patches of {self.patches.patch} px"

    def checked(self, inputs: Inputs, tokens: tuple[int, ...]) -> None:
        super().checked(inputs, tokens)
        if PIXELS not in inputs:
            raise UsageError("a vision encoder needs an image")
        cut(inputs, self.patches)

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Of the pass's images, the features [N, width] that leave the last layer."""
        (features,) = self.features(*cut(at.run.inputs, self.patches), at)
        return features

    def features(
        self, x: torch.Tensor, grids: Sequence[Grid], at: At, layers: Sequence[int] = (-1,)
    ) -> tuple[torch.Tensor, ...]:
        """What each of `layers` puts out, [N, width], of the patches [N, values] of all images.

        Layers are counted as transformers does: 0 is what enters the first, -1 what leaves the last, through the last
        norm if there is one.
        """
        at = at.labelled("vision")
        hidden = at.call(self.patches, x)
        at.stage("patch embedding", self.patches.equation(), hidden)
        if self.positions:
            hidden = hidden + self.positions.of(grids, at.below(self.positions))
            at.stage("position embedding", self.positions.equation(), hidden)
        if self.pre_norm:
            hidden = at.call(self.pre_norm, hidden)
            at.stage("embedding norm", self.pre_norm.equation(), hidden)
        within = at.apart(positions=places(grids, 1).to(x.device), segments={"image": frames(grids)})
        return outputs_of(self.blocks, hidden, within, layers, last_norm=self.post_norm)
