"""An eye for images of any size and shape, padded to the largest, of which each becomes as many vectors (Idefics 2)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from weightscope.components.base import Component
from weightscope.components.runnable import PIXELS, Inputs
from weightscope.components.running import At
from weightscope.components.sense import Layout, Seen, whole_numbers
from weightscope.components.vision.encoder import VisionEncoder
from weightscope.components.vision.eye import Eye
from weightscope.components.vision.resampler import Resampler
from weightscope.components.vision.tiles import MASK, Tiles, tiles
from weightscope.errors import UsageError
from weightscope.roles import Section

if TYPE_CHECKING:
    import torch

PIECES = "num_patches"
FENCE = "<fake_token_around_image>"


class ResamplingBridge(Component, frozen=True, kw_only=True):
    """`widen` brings each feature to the language model's width, `resampler` makes as many vectors of each image."""

    widen: Component
    resampler: Resampler
    section: Section | None = Section.PROJECTOR

    def equation(self, x: str = "x") -> str:
        return self.resampler.equation(self.widen.equation(x))

    def gather(self, features: torch.Tensor, lengths: Sequence[int], at: At) -> torch.Tensor:
        """Features [N, width] of images of so many patches to [images · latents, width of the language model]."""
        import torch

        wide = at.call(self.widen, features)
        at.stage("projector", self.widen.equation(), wide)
        return self.resampler.gather(torch.split(wide, list(lengths)), at.below(self.resampler))


class ResampledEye(Eye, frozen=True, kw_only=True):
    """Positions go by fractions of an image's sides; patches that it does not cover whole are left out.

    `num_patches` says of how many pieces an image is made, if not of one.
    """

    takes: ClassVar[tuple[str, ...]] = (PIXELS, MASK, PIECES)
    beside: ClassVar[tuple[str, ...]] = (PIECES,)
    processor: ClassVar[str] = "Idefics2ImageProcessor"

    tower: VisionEncoder
    bridge: ResamplingBridge

    def counts(self, inputs: Inputs) -> tuple[int, ...]:
        return (int(self.bridge.resampler.count),) * len(self._tiles(inputs).pixels)

    def see(self, inputs: Inputs, at: At) -> Seen:
        found = self._tiles(inputs)
        features = found.features(self.tower, at.below(self.tower))
        covered = found.covered.flatten(1)
        lengths = [int(count) for count in covered.sum(1)]
        return Seen(self.bridge.gather(features[covered.flatten()], lengths, at.below(self.bridge)))

    def layouts(self, inputs: Inputs) -> Sequence[Layout]:
        """Between two marks, each piece of an image."""
        many, count = len(self._tiles(inputs).pixels), int(self.bridge.resampler.count)
        pieces = whole_numbers(inputs, PIECES) if PIECES in inputs else [1] * many
        if sum(pieces) != many or min(pieces) < 1:
            raise UsageError(f"{PIECES} tells another number of images than the {many:,} of {PIXELS}")
        return [(FENCE, *(count, FENCE) * number) for number in pieces]

    def finished(self, text: str) -> str:
        """Images side by side share a mark, and a blank comes before a word."""
        return re.sub(rf"{FENCE}(?=[^\s<])", f"{FENCE} ", text.replace(FENCE * 2, FENCE))

    def _tiles(self, inputs: Inputs) -> Tiles:
        return tiles(inputs, self.tower.patches, partly=False)
