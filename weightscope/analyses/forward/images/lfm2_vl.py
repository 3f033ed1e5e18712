"""Image files of any shape as rows of patches, large ones cut into tiles (LFM2-VL, arXiv 2511.23404).

Source: `Lfm2VlImageProcessor` of transformers, which resizes by torchvision: here Pillow does, so that a value may be
off by one step of 256.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from weightscope.analyses.forward.images.decoding import as_it_is, resized
from weightscope.analyses.forward.images.settings import EvenScaling, Resample, Said, Side
from weightscope.analyses.forward.images.siglip2 import Patch, Patches, patched

if TYPE_CHECKING:
    import numpy as np

    Image = np.ndarray[Any, Any]

Tiles = Annotated[int, msgspec.Meta(ge=1, le=64)]


class Settings(EvenScaling, frozen=True, kw_only=True):
    """A preprocessor_config.json; where it says nothing, what the class takes."""

    downsample_factor: Annotated[int, msgspec.Meta(ge=1, le=16)] = 2
    do_image_splitting: bool = True
    min_tiles: Tiles = 2
    max_tiles: Tiles = 10
    use_thumbnail: bool = True
    min_image_tokens: Patches = 64
    max_image_tokens: Patches = 256
    encoder_patch_size: Patch = 16
    tile_size: Side = 512
    max_pixels_tolerance: Annotated[float, msgspec.Meta(ge=0, le=1e6)] = 2.0
    resample: Resample = 2

    @property
    def square(self) -> int:
        """Pixels of a side of what becomes one token."""
        return self.encoder_patch_size * self.downsample_factor

    @property
    def most_patches(self) -> int:
        """Of one tile, and of a whole image."""
        tile = (self.tile_size // self.encoder_patch_size) ** 2 if self.do_image_splitting else 0
        return max(self.max_image_tokens * self.downsample_factor**2, tile)

    def is_large(self, height: int, width: int) -> bool:
        """Whether an image has more pixels than go into one tile."""
        tall, wide = (max(self.encoder_patch_size, _nearest(side, self.square)) for side in (height, width))
        return tall * wide > self.max_image_tokens * self.square**2 * self.max_pixels_tolerance

    def whole(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of an image that is not cut: multiples of a token's, between the least and most tokens."""
        square = self.square
        least, most = (tokens * square**2 for tokens in (self.min_image_tokens, self.max_image_tokens))
        tall, wide = (max(square, _nearest(side, square)) for side in (height, width))
        if tall * wide > most:
            shrink = math.sqrt(height * width / most)
            tall, wide = (max(square, math.floor(side / shrink / square) * square) for side in (height, width))
        elif tall * wide < least:
            grow = math.sqrt(least / (height * width))
            tall, wide = (math.ceil(side * grow / square) * square for side in (height, width))
        return tall, wide


def read(paths: Sequence[Path], said: Said) -> dict[str, np.ndarray[Any, Any]]:
    """What `siglip2` makes, of all tiles; `image_rows` and `image_cols` [images] of them.

    Raises:
        UsageError: a file cannot be read as an image.
        CheckpointError: the settings say nothing that can be done.
        WeightscopeError: Pillow is not installed, or no process for it can be started.
    """
    import numpy as np

    settings = said.as_kind(Settings)
    tiles: list[Image] = []
    grids = []
    for path in paths:
        found, grid = _tiles(as_it_is(path), settings)
        tiles += found
        grids.append(grid)
    made = patched(tiles, settings.encoder_patch_size, settings.most_patches, settings)
    rows, columns = np.array(grids, np.int64).T
    return {**made, "image_rows": rows, "image_cols": columns}


def _tiles(image: Image, settings: Settings) -> tuple[list[Image], tuple[int, int]]:
    """The tiles of a large image with the whole after them, or the whole alone; rows and columns of tiles."""
    height, width = image.shape[:2]
    whole = settings.whole(height, width)
    splits = settings.do_image_splitting and not settings.min_tiles == settings.max_tiles == 1
    if not splits or not settings.is_large(height, width):
        return [resized(image, *whole, settings.resample)], (1, 1)
    if settings.min_tiles > settings.max_tiles:
        raise ValueError("min_tiles are more than max_tiles")
    side = settings.tile_size
    rows, columns = _grid(height, width, settings)
    cut = resized(image, rows * side, columns * side, settings.resample)
    tiles = [
        cut[row * side : (row + 1) * side, column * side : (column + 1) * side]
        for row in range(rows)
        for column in range(columns)
    ]
    if settings.use_thumbnail and len(tiles) > 1:
        tiles.append(resized(image, *whole, settings.resample))
    return tiles, (rows, columns)


def _grid(height: int, width: int, settings: Settings) -> tuple[int, int]:
    """Rows and columns whose shape is nearest to the image's; of equal ones the larger, if the image is large."""
    least, most = settings.min_tiles, settings.max_tiles
    sides = (
        (wide, tall) for last in range(least, most + 1) for wide in range(1, last + 1) for tall in range(1, last + 1)
    )
    # As its own code has it: of as many tiles, those come first that a set happens to give first.
    grids = sorted({(wide, tall) for wide, tall in sides if least <= wide * tall <= most}, key=math.prod)
    best, nearest = (1, 1), math.inf
    for wide, tall in grids:
        off = abs(width / height - wide / tall)
        if off < nearest or (off == nearest and height * width > 0.5 * settings.tile_size**2 * wide * tall):
            best, nearest = (wide, tall), off
    return best[1], best[0]


def _nearest(size: int, step: int) -> int:
    return round(size / step) * step
