"""Image files in one size, or cut into tiles of it with the whole image after them (GOT-OCR 2, arXiv 2409.01704).

Source: `GotOcr2ImageProcessor` of transformers, in its Pillow flavour.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from weightscope.analyses.forward.images.decoding import MAX_INPUT_PIXELS, as_it_is, resized
from weightscope.analyses.forward.images.settings import Resample, Said, Scaling, Sides

if TYPE_CHECKING:
    import numpy as np

    Image = np.ndarray[Any, Any]

Tiles = Annotated[int, msgspec.Meta(ge=1, le=64)]


class Settings(Scaling, frozen=True, kw_only=True):
    """A preprocessor_config.json; where it says nothing, what the class takes."""

    do_resize: bool = True
    size: Sides = Sides(height=384, width=384)
    resample: Resample = 3
    crop_to_patches: bool = False
    min_patches: Tiles = 1
    max_patches: Tiles = 12

    @property
    def tile(self) -> tuple[int, int]:
        """Height and width of a tile.

        Raises:
            ValueError: the size does not say both.
        """
        if not (self.size.height and self.size.width):
            raise ValueError("a size without height and width")
        return self.size.height, self.size.width

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns whose shape is nearest to the image's; of equal ones the larger, if the image is large."""
        best, nearest = (1, 1), math.inf
        most, area = self.max_patches, math.prod(self.tile)
        grids = [(wide, tall) for wide in range(1, most + 1) for tall in range(1, most + 1)]
        allowed = [grid for grid in grids if self.min_patches <= math.prod(grid) <= most]
        for wide, tall in sorted(allowed, key=math.prod):
            off = abs(width / height - wide / tall)
            if off < nearest or (off == nearest and height * width > 0.5 * area * wide * tall):
                best, nearest = (wide, tall), off
        return best[1], best[0]


def read(paths: Sequence[Path], said: Said) -> dict[str, np.ndarray[Any, Any]]:
    """`pixel_values`, float32 [tiles, 3, height, width], and `num_patches` [images] of tiles.

    Raises:
        UsageError: a file cannot be read as an image.
        CheckpointError: the settings say nothing that can be done.
        WeightscopeError: Pillow is not installed, or no process for it can be started.
    """
    settings = said.as_kind(Settings)
    # InternVL's processor asks for tiles, whatever the file says.
    tiled = settings.crop_to_patches or said.usual == "InternVLImageProcessor"
    if not (tiled and settings.max_patches > 1):
        images = [as_it_is(path) for path in paths]
        if settings.do_resize:
            images = [resized(image, *settings.tile, settings.resample) for image in images]
        return stacked([[image] for image in images], settings)
    found = [as_it_is(path) for path in paths]
    return stacked(
        [cut(image, settings.grid(*image.shape[:2]), settings.tile, settings.resample) for image in found], settings
    )


def cut(image: Image, grid: tuple[int, int], tile: tuple[int, int], resample: int) -> list[Image]:
    """The tiles of an image [height, width, 3], row by row, and after several of them the whole image in their size."""
    tiles = split(image, grid, tile, resample)
    return [*tiles, resized(image, *tile, resample)] if len(tiles) > 1 else tiles


def split(image: Image, grid: tuple[int, int], tile: tuple[int, int], resample: int) -> list[Image]:
    """The tiles of an image [height, width, 3] that is resized to fill them, row by row."""
    (rows, columns), (height, width) = grid, tile
    whole = resized(image, rows * height, columns * width, resample)
    return [
        whole[row * height : (row + 1) * height, column * width : (column + 1) * width]
        for row in range(rows)
        for column in range(columns)
    ]


def stacked(images: Sequence[Sequence[Image]], scaling: Scaling) -> dict[str, np.ndarray[Any, Any]]:
    """The tiles of all images together, and how many each has.

    Raises:
        ValueError: they have several sizes, or too many pixels.
    """
    import numpy as np

    tiles = [tile for image in images for tile in image]
    height, width = tiles[0].shape[:2]
    if any(tile.shape[:2] != (height, width) for tile in tiles):
        raise ValueError("images become several sizes")
    if len(tiles) * height * width > 8 * MAX_INPUT_PIXELS:
        raise ValueError(f"{len(tiles):,} tiles of {width:,} × {height:,} pixels; the limit is 67 million pixels")
    pixels = np.stack([tile.transpose(2, 0, 1) for tile in tiles]).astype(np.float32)
    for tile in pixels:
        scaling.scale(tile)
    return {"pixel_values": pixels, "num_patches": np.array([len(image) for image in images], np.int64)}
