"""Slices of images of any shape whose patches lie in one row, one image after another (MiniCPM-V 4.6)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from weightscope.components.runnable import PIXELS, Inputs
from weightscope.components.running import At
from weightscope.components.sense import Layout, Seen, whole_numbers
from weightscope.components.vision.eye import Eye
from weightscope.components.vision.grids import Grid, by_squares
from weightscope.components.vision.merger import PatchMerger
from weightscope.components.vision.slices import GRIDS, sliced
from weightscope.components.vision.tiles import MOST_PATCHES
from weightscope.components.vision.windowed_tower import WindowedTower, halved
from weightscope.errors import UsageError

if TYPE_CHECKING:
    import torch

SIZES, SLICES = "target_sizes", "num_patches_per_image"


class SliceRowEye(Eye, frozen=True, kw_only=True):
    """`target_sizes` [slices, 2] says how many rows and columns of patches each slice has.

    `num_patches_per_image` says how many slices an image has, and `grids` into how many rows and columns of them it is
    cut, besides the whole image. Each of the `mergers` makes one vector of 2 × 2.
    """

    takes: ClassVar[tuple[str, ...]] = (PIXELS, SIZES, GRIDS, SLICES)
    needs: ClassVar[tuple[str, ...]] = (PIXELS, SIZES)
    beside: ClassVar[tuple[str, ...]] = (GRIDS, SLICES)
    processor: ClassVar[str] = "MiniCPMV4_6ImageProcessor"

    tower: WindowedTower
    mergers: tuple[PatchMerger, ...]

    @property
    def merge(self) -> int:
        """How many rows and columns of patches become one vector."""
        return int(2 ** (len(self.mergers) + (not self.tower.skips)))

    def counts(self, inputs: Inputs) -> tuple[int, ...]:
        return tuple(height * width // self.merge**2 for _, height, width in self._grids(inputs))

    def layouts(self, inputs: Inputs) -> Sequence[Layout]:
        return sliced(inputs, self.counts(inputs), SIZES)

    def see(self, inputs: Inputs, at: At) -> Seen:
        import torch

        grids, pixels = self._grids(inputs), inputs[PIXELS]
        side = int(self.tower.patches.side)
        places = torch.cat([places_of(height, width, side) for _, height, width in grids])
        x = self.tower.see(pixels, grids, places.to(pixels.device), at.below(self.tower))
        grids = grids if self.tower.skips else halved(grids)
        for merger in self.mergers:
            x = at.call(merger, x[by_squares(grids, 2).to(x.device)])
            grids = halved(grids)
            at.stage("projector", merger.equation(), x)
        return Seen(x)

    def _grids(self, inputs: Inputs) -> list[Grid]:
        """Rows and columns of patches of each slice, held against the pixels."""
        patches, pixels, sizes = self.tower.patches, inputs[PIXELS], inputs[SIZES]
        if sizes.ndim != 2 or sizes.shape[1] != 2 or not len(sizes):
            raise UsageError(f"{SIZES} has shape {list(sizes.shape)}, not [slices, 2]")
        flat = whole_numbers(inputs, SIZES)
        grids: list[Grid] = [(1, *both) for both in zip(flat[::2], flat[1::2], strict=True)]
        for _, height, width in grids:
            if min(height, width) < 1 or height * width > MOST_PATCHES:
                raise UsageError(f"{SIZES} has {[height, width]}: a slice has 1 to {MOST_PATCHES:,} patches")
            if height % self.merge or width % self.merge:
                raise UsageError(f"{SIZES} has {[height, width]}: rows and columns are multiples of {self.merge}")
        patch = int(patches.patch)
        wanted = [1, int(patches.channels), patch, patch * sum(height * width for _, height, width in grids)]
        if list(pixels.shape) != wanted:
            raise UsageError(f"{PIXELS} has shape {list(pixels.shape)}, and {SIZES} tells {wanted}")
        return grids


def places_of(height: int, width: int, side: int) -> torch.Tensor:
    """The position [height · width] of each patch in a table of `side` × `side`, by how far along each side it lies."""
    import torch

    edges = torch.arange(1 / side, 1.0, 1 / side)
    rows, columns = (torch.bucketize(torch.arange(count) / count, edges, right=True) for count in (height, width))
    return (rows[:, None] * side + columns).flatten()
