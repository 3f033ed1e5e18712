"""An eye for slices of images of any shape, the patches of each in one row (MiniCPM-V 2.6, arXiv 2408.01800)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from weightscope.components.runnable import PIXELS, Inputs
from weightscope.components.running import At
from weightscope.components.sense import Layout, Seen, whole_numbers
from weightscope.components.vision.encoder import VisionEncoder
from weightscope.components.vision.eye import Eye
from weightscope.components.vision.language import VisionLanguage
from weightscope.components.vision.query_bridge import QueryBridge
from weightscope.components.vision.slices import GRIDS, sliced
from weightscope.components.vision.tiles import MOST_PATCHES
from weightscope.errors import UsageError

if TYPE_CHECKING:
    import torch

    Grid = tuple[int, int]

SIZES = "tgt_sizes"
BOUNDS = "image_bound"


class StripEye(Eye, frozen=True, kw_only=True):
    """Slices are padded to the longest: `tgt_sizes` says how many rows and columns of patches each has.

    `grids` says into how many rows and columns of slices an image is cut, besides the whole image.
    """

    takes: ClassVar[tuple[str, ...]] = (PIXELS, SIZES, BOUNDS, GRIDS)
    needs: ClassVar[tuple[str, ...]] = (PIXELS, SIZES)
    beside: ClassVar[tuple[str, ...]] = (BOUNDS, GRIDS)
    processor: ClassVar[str] = "MiniCPMVImageProcessor"

    tower: VisionEncoder
    bridge: QueryBridge

    def counts(self, inputs: Inputs) -> tuple[int, ...]:
        return (int(self.bridge.queries),) * len(self._grids(inputs))

    def layouts(self, inputs: Inputs) -> Sequence[Layout]:
        return sliced(inputs, self.counts(inputs), PIXELS)

    def see(self, inputs: Inputs, at: At) -> Seen:
        import torch

        grids, pixels = self._grids(inputs), inputs[PIXELS]
        longest = pixels.shape[-1] // int(self.tower.patches.patch)
        lengths = torch.tensor([rows * columns for rows, columns in grids])
        covered = torch.arange(longest) < lengths[:, None]
        places = torch.zeros(covered.shape, dtype=torch.long)
        places[covered] = torch.cat([places_of(grid, int(self.tower.patches.side)) for grid in grids])
        padded = None if bool(covered.all()) else ~covered.flatten().to(pixels.device)
        (features,) = self.tower.features(
            pixels.reshape(-1, *pixels.shape[-3:]),
            at.below(self.tower),
            (-1,),
            normed=True,
            places=places.to(pixels.device),
            unseen=padded,
        )
        return Seen(self.bridge.gather(features[covered.flatten().to(features.device)], grids, at.below(self.bridge)))

    def _grids(self, inputs: Inputs) -> list[Grid]:
        """Rows and columns of patches of each slice, held against the pixels."""
        patches, pixels, sizes = self.tower.patches, inputs[PIXELS], inputs[SIZES]
        if patches.image < patches.patch:
            raise UsageError(f"the encoder takes no image: {patches.image.text} is less than {patches.patch.text}")
        patch, channels = int(patches.patch), int(patches.channels)
        shape = list(pixels.shape)
        fits = pixels.ndim == 4 or (pixels.ndim == 5 and len(pixels) == 1)
        if not fits or shape[-3:-1] != [channels, patch] or not shape[-4] or not shape[-1] or shape[-1] % patch:
            raise UsageError(f"{PIXELS} has shape {shape}, not [slices, {channels}, {patch}, patches · {patch}]")
        if list(sizes.shape) not in ([shape[-4], 2], [1, shape[-4], 2]):
            raise UsageError(f"{SIZES} has shape {list(sizes.shape)}, not [{shape[-4]:,}, 2]")
        flat, most = whole_numbers(inputs, SIZES), min(shape[-1] // patch, MOST_PATCHES)
        grids = list(zip(flat[::2], flat[1::2], strict=True))
        for rows, columns in grids:
            if min(rows, columns) < 1 or rows * columns > most:
                raise UsageError(f"{SIZES} has {[rows, columns]}: a slice has 1 to {most:,} patches")
        return grids


class BoundLanguage(VisionLanguage, frozen=True, kw_only=True):
    """`image_bound`, where it is given, says where each slice's tokens begin and end; it is held against them."""

    def checked(self, inputs: Inputs, tokens: tuple[int, ...]) -> None:
        super().checked(inputs, tokens)
        if BOUNDS not in inputs:
            return
        told, counts = whole_numbers(inputs, BOUNDS), self.eye.counts(inputs)
        starts, ends = told[::2], told[1::2]
        wanted = [start + count for start, count in zip(starts, counts, strict=False)]
        within = [place for start, count in zip(starts, counts, strict=False) for place in range(start, start + count)]
        marked = [place for place, token in enumerate(tokens) if token == self.image_token]
        if len(starts) != len(counts) or ends != wanted or within != marked:
            raise UsageError(f"{BOUNDS} does not tell where the image tokens (id {self.image_token}) are")


def places_of(grid: Grid, side: int) -> torch.Tensor:
    """The position [rows · columns] of each patch in a table of `side` × `side`, by how far along each side it lies."""
    import torch

    edges = torch.arange(1 / side, 1.0, 1 / side)
    # Steps of float32, as the published code has them: they decide on which side of an edge a patch lies.
    rows, columns = (
        torch.bucketize(torch.arange(0, 1 - 1e-6, float(1 / torch.tensor(count)))[:count], edges, right=True)
        for count in grid
    )
    return (rows[:, None] * side + columns).flatten()
