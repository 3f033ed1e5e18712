"""An image on a canvas of tiles that is cut up (Llama 3.2 Vision, Meta 2024).

Source: `MllamaImageProcessor` of transformers, in its Pillow flavour.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import floor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from weightscope.analyses.forward.images.decoding import MAX_INPUT_PIXELS, as_it_is, resized
from weightscope.analyses.forward.images.settings import EvenScaling, Resample, Said, Sides

if TYPE_CHECKING:
    import numpy as np


class Settings(EvenScaling, frozen=True, kw_only=True):
    """A preprocessor_config.json; where it says nothing, what the class takes."""

    do_resize: bool = True
    do_pad: bool = True
    size: Sides = Sides(height=224, width=224)
    resample: Resample = 2
    max_image_tiles: Annotated[int, msgspec.Meta(ge=1, le=64)] = 4

    def side(self) -> int:
        """The side of a tile in pixels.

        Raises:
            ValueError: the settings are none with which the class makes tiles.
        """
        side = self.size.square()
        if self.max_image_tiles * side * side > MAX_INPUT_PIXELS:
            raise ValueError(f"{self.max_image_tiles:,} tiles of {side:,} × {side:,} pixels")
        if not (self.do_resize and self.do_pad):
            raise ValueError("do_resize or do_pad is false, and tiles have one size")
        return side

    @property
    def arrangements(self) -> list[tuple[int, int]]:
        """Rows and columns of tiles that an image may have, in the order of their numbers, which count from 1."""
        most = range(1, self.max_image_tiles + 1)
        return [(rows, columns) for rows in most for columns in most if rows * columns <= self.max_image_tiles]


def read(paths: Sequence[Path], said: Said) -> dict[str, np.ndarray[Any, Any]]:
    """`pixel_values` [1, images, tiles, 3, side, side], `aspect_ratio_ids` [1, images], `aspect_ratio_mask`.

    Raises:
        UsageError: a file cannot be read as an image.
        CheckpointError: the settings say nothing that can be done.
        WeightscopeError: Pillow is not installed, or no process for it can be started.
    """
    import numpy as np

    settings = said.as_kind(Settings)
    side, most = settings.side(), settings.max_image_tiles
    pixels = np.zeros((1, len(paths), most, 3, side, side), np.float32)
    ids, used = np.zeros((1, len(paths)), np.int64), np.zeros((1, len(paths), most), np.int64)
    for number, path in enumerate(paths):
        image = as_it_is(path)
        grid = _grid(image.shape[0], image.shape[1], settings.arrangements, side)
        count = grid[0] * grid[1]
        pixels[0, number, :count] = _tiles(image, grid, settings, side)
        ids[0, number] = settings.arrangements.index(grid) + 1
        used[0, number, :count] = 1
    return {"pixel_values": pixels, "aspect_ratio_ids": ids, "aspect_ratio_mask": used}


def _grid(height: int, width: int, grids: Sequence[tuple[int, int]], side: int) -> tuple[int, int]:
    """Rows and columns of tiles on which the image is scaled least, of those the ones with the least area."""
    scales = [min(rows * side / height, columns * side / width) for rows, columns in grids]
    best = min((scale for scale in scales if scale >= 1), default=max(scales))
    return min((grid for grid, scale in zip(grids, scales, strict=True) if scale == best), key=lambda g: g[0] * g[1])


def _tiles(image: np.ndarray[Any, Any], grid: tuple[int, int], settings: Settings, side: int) -> np.ndarray[Any, Any]:
    """The image in the upper left of its tiles, [rows · columns, 3, side, side]."""
    import numpy as np

    (height, width), (rows, columns) = image.shape[:2], grid
    high, wide = (min(max(length, side), count * side) for length, count in ((height, rows), (width, columns)))
    if wide / width < high / height:
        high = min(floor(height * (wide / width)) or 1, high)
    else:
        wide = min(floor(width * (high / height)) or 1, wide)
    canvas = np.zeros((3, rows * side, columns * side), np.float32)
    canvas[:, :high, :wide] = resized(image, high, wide, settings.resample).transpose(2, 0, 1)
    settings.scale(canvas)
    return canvas.reshape(3, rows, side, columns, side).transpose(1, 3, 0, 2, 4).reshape(-1, 3, side, side)
