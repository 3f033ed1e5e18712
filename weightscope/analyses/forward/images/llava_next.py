"""Image files as tiles: the whole image, then the pieces of a larger one (LLaVA-NeXT).

Source: `LlavaNextImageProcessor` of transformers, in its Pillow flavour.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from weightscope.analyses.forward.images.clip import Settings as Cropping
from weightscope.analyses.forward.images.clip import center_crop
from weightscope.analyses.forward.images.decoding import MAX_INPUT_PIXELS, as_it_is, resized
from weightscope.analyses.forward.images.settings import Said, Side, Sides
from weightscope.components.vision.resolutions import best_resolution

if TYPE_CHECKING:
    import numpy as np

Resolutions = Annotated[tuple[tuple[Side, Side], ...], msgspec.Meta(min_length=1, max_length=1000)]
MOST_TILES = 1024


class Settings(Cropping, frozen=True, kw_only=True):
    """A preprocessor_config.json; where it says nothing, what the class takes.

    `do_pad` speaks of tiles here, which are always filled up.
    """

    image_grid_pinpoints: Resolutions = ((336, 672), (672, 336), (672, 672), (1008, 336), (336, 1008))

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width of the whole image as one tile.

        Raises:
            ValueError: the size says neither them nor one edge.
        """
        size = self.size if not isinstance(self.size, int) else Sides(shortest_edge=self.size)
        if size.height and size.width:
            return size.height, size.width
        if not size.shortest_edge:
            raise ValueError("a size that is neither a shortest_edge nor height and width")
        return size.shortest_edge, size.shortest_edge

    @property
    def tile(self) -> int:
        """The side of a piece."""
        size = self.crop_size
        height = size if isinstance(size, int) else size.height
        return height if self.do_center_crop and height else self.sides[0]


def read(paths: Sequence[Path], said: Said) -> dict[str, np.ndarray[Any, Any]]:
    """`pixel_values`, float32 [images, tiles, 3, height, width], and `image_sizes` [images, 2].

    Raises:
        UsageError: a file cannot be read as an image.
        CheckpointError: the settings say nothing that can be done.
        WeightscopeError: Pillow is not installed, or no process for it can be started.
    """
    settings = said.as_kind(Settings)
    images = [as_it_is(path) for path in paths]
    return gathered(images, [tiles(image, settings) for image in images], settings)


def gathered(
    images: Sequence[np.ndarray[Any, Any]], cut: Sequence[Sequence[np.ndarray[Any, Any]]], settings: Settings
) -> dict[str, np.ndarray[Any, Any]]:
    """The arrays of images [height, width, 3] and what they are cut into; empty tiles fill up what has fewer."""
    import numpy as np

    found = [[prepared(tile, settings) for tile in of_one] for of_one in cut]
    shape = found[0][0].shape
    if any(tile.shape != shape for of_one in found for tile in of_one):
        raise ValueError("tiles of several sizes: image_grid_pinpoints must be multiples of the tile's size")
    pixels = np.zeros((len(found), max(map(len, found)), *shape), np.float32)
    for row, of_one in zip(pixels, found, strict=True):
        row[: len(of_one)] = of_one
    return {"pixel_values": pixels, "image_sizes": np.array([image.shape[:2] for image in images], np.int64)}


def tiles(image: np.ndarray[Any, Any], settings: Settings) -> list[np.ndarray[Any, Any]]:
    """The whole image [height, width, 3] in the size of a tile, then its pieces.

    Raises:
        ValueError: the settings ask for too many pixels or pieces.
    """
    cut = pieces(image, settings.image_grid_pinpoints, settings.tile, settings.resample)
    return [resized(image, *settings.sides, settings.resample), *cut]


def pieces(
    image: np.ndarray[Any, Any], resolutions: Resolutions, side: int, resample: int
) -> list[np.ndarray[Any, Any]]:
    """The image [height, width, 3] in the middle of the resolution that suits it, cut into squares of `side`.

    Raises:
        ValueError: there are too many pixels or pieces.
    """
    import numpy as np

    height, width = image.shape[:2]
    tall, wide = best_resolution(height, width, resolutions)
    if tall * wide > MAX_INPUT_PIXELS or (tall // side) * (wide // side) > MOST_TILES:
        raise ValueError(f"image_grid_pinpoints of {tall:,} × {wide:,} pixels in tiles of {side:,}")
    # The side that fits is taken as it is: a product of floats may fall below it.
    high, broad = tall, wide
    if wide / width < tall / height:
        high = min(math.ceil(height * (wide / width)), tall)
    else:
        broad = min(math.ceil(width * (tall / height)), wide)
    canvas = np.zeros((tall, wide, 3), np.uint8)
    top, left = (tall - high) // 2, (wide - broad) // 2
    canvas[top : top + high, left : left + broad] = resized(image, high, broad, resample)
    return [canvas[y : y + side, x : x + side] for y in range(0, tall, side) for x in range(0, wide, side)]


def prepared(tile: np.ndarray[Any, Any], settings: Settings) -> np.ndarray[Any, Any]:
    """A tile [height, width, 3] as float32 [3, height, width], resized, cropped and scaled as the settings say."""
    import numpy as np

    if settings.resized:
        tile = resized(tile, *_target(tile, settings.resized), settings.resample)
    pixels = tile.transpose(2, 0, 1).astype(np.float32)
    if settings.cropped:
        pixels = center_crop(pixels, *settings.cropped)
    settings.scale(pixels)
    return np.ascontiguousarray(pixels)


def _target(tile: np.ndarray[Any, Any], size: tuple[int, ...]) -> tuple[int, int]:
    """Height and width to resize to, of the shorter edge or width and height."""
    if len(size) == 2:
        return size[1], size[0]
    height, width = tile.shape[:2]
    longer = int(size[0] * max(height, width) / min(height, width))
    return (size[0], longer) if height <= width else (longer, size[0])
