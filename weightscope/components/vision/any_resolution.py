"""An eye for images of any size as tiles: the whole image as one crop, then crops of a larger one (LLaVA-NeXT)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from weightscope.components.base import Component
from weightscope.components.runnable import PIXELS, Inputs
from weightscope.components.running import At
from weightscope.components.vision.crops import CropEye
from weightscope.components.vision.resolutions import Resolution, best_resolution, shrunk, unpadded
from weightscope.errors import NotImplementedByWeightscope, UsageError
from weightscope.roles import Role, Section
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch

SIZES = "image_sizes"
BATCHES = "batch_num_images"
MOST_SIDE = 1 << 20


class Newline(Component, frozen=True, kw_only=True):
    """A vector that ends each row of an image's vectors."""

    name: str
    width: Size
    section: Section | None = Section.PROJECTOR

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Plain("", Role.IMAGE_NEWLINE, leaf=""),)

    def sizes(self) -> Sizes:
        return {Role.IMAGE_NEWLINE: (self.width,)}

    def equation(self, x: str = "x") -> str:
        return f"[each row of {x} | image_newline]"

    def terms(self) -> Mapping[Role, str]:
        return {Role.IMAGE_NEWLINE: "the vector after each row of an image's vectors"}


class Tiling(NamedTuple):
    """Of one image: rows and columns of its tiles, rows and columns of padding at each end of their patches' grid, and
    the size that the rest is shrunk to. An image that is not cut has no tiles, and one row without columns.
    """

    tiles: tuple[int, int] = (0, 0)
    padding: tuple[int, int] = (0, 0)
    size: tuple[int, int] = (1, 0)


class AnyResolutionEye(CropEye, frozen=True, kw_only=True):
    """An image becomes the vectors of the whole as one crop, then those of its tiles row by row.

    `resolutions` are those of which the best is cut into tiles. What they are padded with is left out again, and
    `newline` ends each row. Of more than `most` tiles' vectors the grid is shrunk bilinearly (LLaVA-OneVision).
    `refused` says why no image can be cut.
    """

    takes: ClassVar[tuple[str, ...]] = (PIXELS, SIZES)
    needs: ClassVar[tuple[str, ...]] = (PIXELS, SIZES)
    processor: ClassVar[str] = "LlavaNextImageProcessor"

    newline: Newline
    resolutions: tuple[Resolution, ...]
    most: int | None = None
    refused: str = ""

    def counts(self, inputs: Inputs) -> tuple[int, ...]:
        found = self.tilings(inputs)
        self._pixels(inputs, found)
        return tuple(self.each + rows * (columns + 1) for _, _, (rows, columns) in found)

    def tilings(self, inputs: Inputs) -> list[Tiling]:
        """How each image is cut.

        Raises:
            UsageError: the sizes are no sizes of images.
            NotImplementedByWeightscope: no image can be cut.
        """
        if self.refused:
            raise NotImplementedByWeightscope(f"images are not implemented: {self.refused}")
        sizes = inputs[SIZES]
        if sizes.ndim != 2 or sizes.shape[1] != 2 or not len(sizes):
            raise UsageError(f"{SIZES} has shape {list(sizes.shape)}, not [images, 2]")
        pairs = [(int(height), int(width)) for height, width in sizes.tolist()]
        for pair in pairs:
            if min(pair) < 1 or max(pair) > MOST_SIDE:
                raise UsageError(f"{SIZES} has {list(pair)}: a side has 1 to {MOST_SIDE:,} pixels")
        cut = self.cut(inputs, len(pairs))
        return [self._tiling(*pair) if tiled else Tiling() for pair, tiled in zip(pairs, cut, strict=True)]

    def cut(self, inputs: Inputs, count: int) -> Sequence[bool]:
        """Of each image whether it is cut into tiles."""
        return [True] * count

    def crops(self, inputs: Inputs) -> torch.Tensor:
        return self._pixels(inputs, self.tilings(inputs))

    def arranged(self, vectors: torch.Tensor, inputs: Inputs, at: At) -> torch.Tensor:
        import torch

        newline = at.below(self.newline).weights(self.newline)[Role.IMAGE_NEWLINE]
        tilings, parts = self.tilings(inputs), []
        for tiling, found in zip(tilings, torch.split(vectors, [_crops(tiling) for tiling in tilings]), strict=True):
            parts.append(found[0])
            rows = self._grid(found[1:], tiling) if any(tiling.tiles) else found.new_empty(1, 0, found.shape[-1])
            parts.append(torch.cat((rows, newline.expand(len(rows), 1, -1)), dim=1).flatten(0, 1))
        return torch.cat(parts)

    @property
    def side(self) -> int:
        """Patches along a side of a crop."""
        return int(self.tower.patches.side)

    def _tiling(self, height: int, width: int) -> Tiling:
        side = int(self.tower.patches.image)
        tall, wide = best_resolution(height, width, self.resolutions)
        tiles = tall // side, wide // side
        rows, columns = tiles[0] * self.side, tiles[1] * self.side
        above, before = unpadded(height, width, rows, columns)
        size = rows - 2 * above, columns - 2 * before
        return Tiling(tiles, (above, before), size if self.most is None else shrunk(*size, self.side, self.most))

    def _grid(self, tiles: torch.Tensor, tiling: Tiling) -> torch.Tensor:
        """The vectors [rows, columns, D] of tiles [crops, each, D], less the padding."""
        import torch

        (down, across), (above, before) = tiling.tiles, tiling.padding
        squares = tiles.reshape(down, across, self.side, self.side, -1)
        grid = squares.transpose(1, 2).flatten(2, 3).flatten(0, 1)
        grid = grid[above : len(grid) - above, before : grid.shape[1] - before]
        if tuple(grid.shape[:2]) == tiling.size:
            return grid
        shrunk = torch.nn.functional.interpolate(grid.permute(2, 0, 1)[None], tiling.size, mode="bilinear")
        return shrunk[0].permute(1, 2, 0)

    def _pixels(self, inputs: Inputs, tilings: Sequence[Tiling]) -> torch.Tensor:
        """The pixels [crops, C, S, S] of all images; those of [images, crops, C, S, S] are padded with empty crops."""
        import torch

        pixels, counts = inputs[PIXELS], [_crops(tiling) for tiling in tilings]
        said = f"{PIXELS} has shape {list(pixels.shape)}, and {SIZES} tells {counts} crops"
        if pixels.ndim == 5:
            if len(pixels) != len(counts) or pixels.shape[1] < max(counts):
                raise UsageError(said)
            pixels = torch.cat([image[:count] for image, count in zip(pixels, counts, strict=True)])
        found = self.tower.pixels({PIXELS: pixels})
        if len(found) != sum(counts):
            raise UsageError(said)
        return found


class OnevisionEye(AnyResolutionEye, frozen=True, kw_only=True):
    """Only an image that is alone in its sequence is cut into tiles (LLaVA-OneVision)."""

    takes: ClassVar[tuple[str, ...]] = (PIXELS, SIZES, BATCHES)
    processor: ClassVar[str] = "LlavaOnevisionImageProcessor"

    def cut(self, inputs: Inputs, count: int) -> Sequence[bool]:
        """By how many images each sample has; all are cut where nothing says it, as transformers does."""
        if BATCHES not in inputs:
            return super().cut(inputs, count)
        batches = inputs[BATCHES]
        if batches.ndim != 1 or int(batches.sum()) != count or int(batches.min()) < 0:
            raise UsageError(f"{BATCHES} is {batches.tolist()!r:.60}, and {SIZES} has {count:,} images")
        return [size == 1 for size in batches.tolist() for _ in range(size)]


def _crops(tiling: Tiling) -> int:
    return 1 + tiling.tiles[0] * tiling.tiles[1]
