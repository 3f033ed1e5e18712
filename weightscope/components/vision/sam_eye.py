"""An eye over SAM's encoder: two convolutions halve its map of features twice (GOT-OCR 2, arXiv 2409.01704)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from weightscope.components.base import Component
from weightscope.components.projection import Projection
from weightscope.components.runnable import PIXELS, Inputs
from weightscope.components.running import At
from weightscope.components.sense import Layout, Seen, whole_numbers
from weightscope.components.vision.convolved import Convolved
from weightscope.components.vision.eye import Eye
from weightscope.components.vision.sam import SamEncoder
from weightscope.errors import UsageError
from weightscope.roles import Section

if TYPE_CHECKING:
    import torch

TILES = "num_patches"


class HalvingBridge(Component, frozen=True, kw_only=True):
    """Two convolutions of stride 2, then a matrix on what is at each place."""

    name: str
    first: Convolved
    second: Convolved
    last: Projection
    section: Section | None = Section.PROJECTOR

    def equation(self, x: str = "x") -> str:
        return self.last.equation(self.second.equation(f"({self.first.equation(x)})"))

    def side(self, patches: int) -> int:
        """How many vectors a side of so many patches becomes."""
        half = -(-patches // 2)
        return -(-half // 2)

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[images, channels, rows, columns] to [images · rows · columns / 16, width of the language model]."""
        small = at.call(self.second, at.call(self.first, x))
        made = at.call(self.last, small.movedim(1, -1).flatten(0, 2))
        at.stage("projector", self.equation(), made)
        return made


class SamEye(Eye, frozen=True, kw_only=True):
    """`num_patches` says of how many tiles an image is made; without it each tile is one."""

    takes: ClassVar[tuple[str, ...]] = (PIXELS, TILES)
    beside: ClassVar[tuple[str, ...]] = (TILES,)
    processor: ClassVar[str] = "GotOcr2ImageProcessor"

    tower: SamEncoder
    bridge: HalvingBridge

    def counts(self, inputs: Inputs) -> tuple[int, ...]:
        pixels, side, channels = inputs[PIXELS], int(self.tower.image), int(self.tower.patches.channels)
        if pixels.ndim != 4 or tuple(pixels.shape[1:]) != (channels, side, side) or not len(pixels):
            raise UsageError(f"{PIXELS} has shape {list(pixels.shape)}, not [tiles, {channels}, {side}, {side}]")
        return (self.bridge.side(int(self.tower.patches.side)) ** 2,) * len(pixels)

    def see(self, inputs: Inputs, at: At) -> Seen:
        return Seen(at.call(self.bridge, self.tower.features(inputs[PIXELS], at.below(self.tower))))

    def layouts(self, inputs: Inputs) -> Sequence[Layout]:
        counts = self.counts(inputs)
        tiles = whole_numbers(inputs, TILES) if TILES in inputs else [1] * len(counts)
        if sum(tiles) != len(counts) or min(tiles) < 1:
            raise UsageError(f"{TILES} has {tiles}, and {PIXELS} has {len(counts):,} tiles")
        return [(counts[0] * number,) for number in tiles]
