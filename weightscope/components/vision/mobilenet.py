"""MobileNetV5's encoder, as timm has it: stages of convolutions and attention, of which the last are fused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightscope.components.base import Component, Repeat
from weightscope.components.running import At
from weightscope.components.vision.same_convolution import NormedConvolution
from weightscope.components.vision.scale_fusion import ScaleFusion
from weightscope.components.vision.staged import depths_of
from weightscope.roles import Section
from weightscope.sizes import Size

if TYPE_CHECKING:
    import torch


class MobileNet(Component, frozen=True, kw_only=True):
    """A stem, stages each of which halves both sides, and what joins the maps of the last `fused` stages."""

    name: str
    stem: NormedConvolution
    stages: tuple[Repeat, ...]
    fusion: ScaleFusion
    fused: int
    section: Section | None = Section.VISION

    @property
    def glance(self) -> str:
        return f"vision MobileNetV5, {depths_of(self.stages)} layers from {self.stem.norm.size:,} channels"

    @property
    def channels(self) -> Size:
        """Of an image."""
        return self.stem.convolution.inputs

    @property
    def width(self) -> Size:
        """Of the vectors that leave."""
        return self.fusion.norm.size

    @property
    def each(self) -> int:
        """How many vectors an image becomes."""
        return self.fusion.side**2

    def features(self, pixels: torch.Tensor, at: At) -> torch.Tensor:
        """Pixels [images, channels, height, width] to [images · each, width]."""
        at = at.apart(segments={}).labelled("vision")
        hidden = at.call(self.stem, pixels.movedim(1, -1))
        at.stage("stem", self.stem.equation("pixels"), hidden.flatten(0, 2))
        maps = []
        for number, stage in enumerate(self.stages):
            hidden = stage.child.forward(hidden, at.below(stage, stage.indices[0]).labelled(f"vision stage {number}"))
            maps.append(hidden)
        return self.fusion.fused(maps[-self.fused :], at.below(self.fusion)).flatten(0, 1)
