"""An image as tiles of one size, the whole image before them, and which patches are no padding (Phi-4-multimodal).

Source: `Phi4MultimodalImageProcessor` of transformers, which only torchvision computes; arXiv 2503.01743.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from weightscope.analyses.forward.images import got_ocr2
from weightscope.analyses.forward.images.decoding import MAX_INPUT_PIXELS, as_it_is
from weightscope.analyses.forward.images.got_ocr2 import Tiles
from weightscope.analyses.forward.images.interpolated import check_filter, interpolated
from weightscope.analyses.forward.images.settings import (
    EvenScaling,
    Resample,
    Said,
    Side,
    Sides,
)
from weightscope.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]
    Resize = Callable[[Array, int, int], Array]

BILINEAR = 2
# Of the picture within its tiles; the class takes no narrower one.
LEAST_SIDE = 10


class Settings(EvenScaling, frozen=True, kw_only=True):
    """A preprocessor_config.json; where it says nothing, what the class takes. `resample` is of the whole image."""

    size: Sides = Sides(height=448, width=448)
    resample: Resample = 3
    patch_size: Side = 14
    dynamic_hd: Tiles = 36

    def side(self) -> int:
        """The side of a tile in pixels.

        Raises:
            ValueError: the settings are none with which the class makes tiles.
        """
        side = self.size.square()
        if side < self.patch_size:
            raise ValueError(f"a patch_size of {self.patch_size:,} in tiles of {side:,} pixels")
        check_filter(self.resample)
        if not (self.do_rescale or self.do_normalize):
            raise ValueError("neither do_rescale nor do_normalize")
        return side

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns that hold the image, or those whose shape is nearest to it where they are too many."""
        side = self.side()
        rows, columns = math.ceil(height / side), math.ceil(width / side)
        if rows * columns > self.dynamic_hd:
            rows, columns = got_ocr2.Settings(size=self.size, max_patches=self.dynamic_hd).grid(height, width)
        if rows * columns * side * side > MAX_INPUT_PIXELS:
            raise ValueError(f"{rows * columns:,} tiles of {side:,} × {side:,} pixels")
        return rows, columns


class Cut(NamedTuple):
    """The whole image and its tiles, float32 [1 + tiles, 3, side, side], their masks, and the size of all tiles."""

    pixels: Array
    mask: Array
    size: tuple[int, int]


def read(paths: Sequence[Path], said: Said) -> dict[str, Array]:
    """`image_pixel_values`, and with them what `tiled` makes.

    Raises:
        UsageError: a file cannot be read as an image, or is too narrow.
        CheckpointError: the settings say nothing that can be done.
        WeightscopeError: Pillow is not installed, or no process for it can be started.
    """
    return tiled(paths, said.as_kind(Settings), _by_torchvision, "image_pixel_values")


def _by_torchvision(image: Array, height: int, width: int) -> Array:
    import torch

    channels = torch.from_numpy(image.copy()).permute(2, 0, 1).contiguous()
    resized: Array = interpolated(channels, height, width, BILINEAR, antialias=True).permute(1, 2, 0).numpy()
    return resized


def tiled(paths: Sequence[Path], settings: Settings, resize: Resize, name: str) -> dict[str, Array]:
    """`name`, float32 [images, tiles, 3, side, side], `image_attention_mask` [images, tiles, patches, patches], and
    `image_sizes` [images, 2].

    Each image's first tile is the whole image. Tiles that an image lacks are zeros, and their masks ones.

    Raises:
        UsageError: a file cannot be read as an image, or is too narrow.
        ValueError: the settings say nothing that can be done.
    """
    import numpy as np

    side, found = settings.side(), [_cut(path, settings, resize) for path in paths]
    shape = len(found), max(len(image.pixels) for image in found)
    if math.prod(shape) * side * side > 8 * MAX_INPUT_PIXELS:
        raise ValueError(
            f"{shape[0]:,} × {shape[1]:,} tiles of {side:,} × {side:,} pixels; the limit is 67 million pixels"
        )
    pixels = np.zeros((*shape, 3, side, side), np.float32)
    mask = np.ones((*shape, *found[0].mask.shape[1:]), np.float32)
    for number, image in enumerate(found):
        pixels[number, : len(image.pixels)] = image.pixels
        mask[number, : len(image.mask)] = image.mask
    sizes = np.array([image.size for image in found], np.int64)
    return {name: pixels, "image_sizes": sizes, "image_attention_mask": mask}


def _cut(path: Path, settings: Settings, resize: Resize) -> Cut:
    """The image in the upper left of its tiles, white beside it."""
    import numpy as np
    import torch

    image, side = as_it_is(path), settings.side()
    height, width = image.shape[:2]
    rows, columns = settings.grid(height, width)
    tall, broad = rows * side, columns * side
    if broad / width < tall / height:
        inner = int(height * (broad / width)), broad
    else:
        inner = tall, int(width * (tall / height))
    if min(inner) < LEAST_SIDE:
        raise UsageError(f"is too narrow: it would become {inner[1]:,} × {inner[0]:,} pixels", where=path)
    canvas = np.full((tall, broad, 3), 255, np.uint8)
    canvas[: inner[0], : inner[1]] = resize(image, *inner)
    pixels = settings.normalized(canvas)
    whole = interpolated(torch.from_numpy(pixels), side, side, settings.resample, antialias=False).numpy()
    tiles = pixels.reshape(3, rows, side, columns, side).transpose(1, 3, 0, 2, 4).reshape(-1, 3, side, side)
    patches = side // settings.patch_size
    mask = np.ones((rows * patches, columns * patches), np.float32)
    hidden = [(length - used) // settings.patch_size for length, used in zip((tall, broad), inner, strict=True)]
    mask[max(len(mask) - hidden[0], 0) :] = 0
    mask[:, max(mask.shape[1] - hidden[1], 0) :] = 0
    masks = mask.reshape(rows, patches, columns, patches).transpose(0, 2, 1, 3).reshape(-1, patches, patches)
    first = np.ones((1, patches, patches), np.float32)
    return Cut(np.concatenate((whole[None], tiles)), np.concatenate((first, masks)), (tall, broad))
