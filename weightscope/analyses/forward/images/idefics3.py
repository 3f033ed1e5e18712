"""Image files as tiles of one size, and the whole image in that size after them (Idefics 3, arXiv 2408.12637).

Source: `Idefics3ImageProcessor` and `SmolVLMImageProcessor` of transformers, in their Pillow flavour.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from weightscope.analyses.forward.images.decoding import as_it_is, resized
from weightscope.analyses.forward.images.settings import (
    EvenScaling,
    Resample,
    Said,
    Side,
    Sides,
)

if TYPE_CHECKING:
    import numpy as np

    Image = np.ndarray[Any, Any]

# The longest edge that an image is scaled to, and the most tiles of one: more than any model is given.
MAX_EDGE = 4096
MOST_TILES = 1024


class Edge(msgspec.Struct, frozen=True):
    """The side of a tile in pixels."""

    longest_edge: Side = 364


class Settings(EvenScaling, frozen=True, kw_only=True):
    """A preprocessor_config.json; where it says nothing, what the classes take."""

    do_resize: bool = True
    size: Sides = Sides(longest_edge=4 * 364)
    max_image_size: Edge = Edge()
    resample: Resample = 1
    do_image_splitting: bool = True
    do_pad: bool = True

    def scaled(self, height: int, width: int) -> tuple[int, int]:
        """Height and width after the first resizing.

        Raises:
            ValueError: the size says neither a longest_edge nor height and width.
        """
        if not self.do_resize:
            return height, width
        if self.size.longest_edge:
            return _below(*_longest(height, width, self.size.longest_edge))
        if self.size.height and self.size.width:
            return self.size.height, self.size.width
        raise ValueError("a size that is neither a longest_edge nor height and width")


def read(paths: Sequence[Path], said: Said) -> dict[str, np.ndarray[Any, Any]]:
    """`pixel_values`, float32 [1, tiles, 3, side, side], their mask, and `rows` and `cols` [1, images] of tiles.

    Raises:
        UsageError: a file cannot be read as an image.
        CheckpointError: the settings say nothing that can be done.
        WeightscopeError: Pillow is not installed, or no process for it can be started.
    """
    import numpy as np

    settings = said.as_kind(Settings)
    tiles, rows, columns = [], [], []
    for path in paths:
        found, grid = _tiles(as_it_is(path), settings)
        tiles += found
        rows.append(grid[0])
        columns.append(grid[1])
    pixels = np.stack(tiles)[None]
    mask = {"pixel_attention_mask": np.ones((*pixels.shape[:2], *pixels.shape[3:]), np.int64)}
    return {
        "pixel_values": pixels,
        **(mask if settings.do_pad else {}),
        "rows": np.array([rows], np.int64),
        "cols": np.array([columns], np.int64),
    }


def _tiles(image: Image, settings: Settings) -> tuple[list[Image], tuple[int, int]]:
    """The tiles [3, side, side] of an image [height, width, 3], and how many rows and columns of them there are."""
    side, resample = settings.max_image_size.longest_edge, settings.resample
    height, width = settings.scaled(*image.shape[:2])
    if settings.do_resize:
        image = resized(image, height, width, resample)
    rows, columns = _grid(height, width, side) if settings.do_image_splitting else (1, 1)
    if rows * columns > MOST_TILES:
        raise ValueError(f"an image of {rows:,} × {columns:,} tiles; the limit is {MOST_TILES:,} tiles")
    image = resized(image, rows * side, columns * side, resample)
    if rows * columns == 1:
        return [settings.normalized(image)], (0, 0)
    tiles = [
        image[row * side : (row + 1) * side, column * side : (column + 1) * side]
        for row in range(rows)
        for column in range(columns)
    ]
    tiles.append(resized(image, side, side, resample))
    return [settings.normalized(tile) for tile in tiles], (rows, columns)


def _longest(height: int, width: int, edge: int) -> tuple[int, int]:
    """The longer side becomes `edge`, the other an even number."""
    ratio = width / height
    if width >= height:
        other = int(edge / ratio)
        return max(other + other % 2, 1), edge
    other = int(edge * ratio)
    return edge, max(other + other % 2, 1)


def _below(height: int, width: int) -> tuple[int, int]:
    """The same shape with no side longer than `MAX_EDGE`."""
    ratio = width / height
    if width >= height and width > MAX_EDGE:
        height, width = int(MAX_EDGE / ratio), MAX_EDGE
    elif height > width and height > MAX_EDGE:
        height, width = MAX_EDGE, int(MAX_EDGE * ratio)
    return max(height, 1), max(width, 1)


def _grid(height: int, width: int, side: int) -> tuple[int, int]:
    """How many rows and columns of tiles come nearest to the image's shape."""
    ratio = width / height
    if width >= height:
        columns = math.ceil(width / side)
        return math.ceil(int(columns * side / ratio) / side), columns
    rows = math.ceil(height / side)
    return rows, math.ceil(int(rows * side * ratio) / side)
