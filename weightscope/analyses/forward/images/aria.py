"""Image files as squares with a mask of what is no padding, whole or in pieces (Aria, arXiv 2410.05993).

Source: `AriaImageProcessor` of transformers, in its Pillow flavour.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from weightscope.analyses.forward.images.decoding import MAX_INPUT_PIXELS, as_it_is, resized
from weightscope.analyses.forward.images.llava_next import Resolutions, pieces
from weightscope.analyses.forward.images.settings import EvenScaling, Resample, Said, Side

if TYPE_CHECKING:
    import numpy as np

HALF = 490
# Rows and columns of halves.
GRIDS = (
    *((1, columns) for columns in range(2, 9)), (2, 4), (2, 3), (2, 2), (2, 1), (3, 1), (3, 2), (4, 1), (4, 2),
    *((rows, 1) for rows in range(5, 9)),
)  # fmt: skip


class Settings(EvenScaling, frozen=True, kw_only=True):
    """A preprocessor_config.json; where it says nothing, what the class takes."""

    resample: Resample = 3
    max_image_size: Literal[490, 980] = 980
    min_image_size: Side = 336
    split_image: bool = False
    split_resolutions: Resolutions = tuple((rows * HALF, columns * HALF) for rows, columns in GRIDS)


def read(paths: Sequence[Path], said: Said) -> dict[str, np.ndarray[Any, Any]]:
    """`pixel_values`, float32 [crops, 3, side, side], `pixel_mask` [crops, side, side], and `num_crops` [images].

    Raises:
        UsageError: a file cannot be read as an image.
        CheckpointError: the settings say nothing that can be done.
        WeightscopeError: Pillow is not installed, or no process for it can be started.
    """
    import numpy as np

    settings = said.as_kind(Settings)
    if settings.min_image_size > settings.max_image_size:
        raise ValueError(f"a min_image_size of {settings.min_image_size:,} above {settings.max_image_size:,}")
    found, numbers = [], []
    for path in paths:
        image = as_it_is(path)
        cut = _pieces(image, settings) if settings.split_image else [image]
        found += [_square(piece, settings) for piece in cut]
        numbers.append(len(cut))
    pixels, masks = zip(*found, strict=True)
    return {"pixel_values": np.stack(pixels), "pixel_mask": np.stack(masks), "num_crops": np.array(numbers, np.int64)}


def _pieces(image: np.ndarray[Any, Any], settings: Settings) -> list[np.ndarray[Any, Any]]:
    cut = pieces(image, settings.split_resolutions, settings.max_image_size, settings.resample)
    if len(cut) * settings.max_image_size**2 > MAX_INPUT_PIXELS:
        raise ValueError(f"{len(cut):,} pieces of {settings.max_image_size:,} pixels a side")
    return cut


def _square(image: np.ndarray[Any, Any], settings: Settings) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The image [h, w, 3] in the upper left of a square, and where it is."""
    import numpy as np

    side, least = settings.max_image_size, settings.min_image_size
    height, width = image.shape[:2]
    scale = side / max(height, width)
    high = max(int(height * scale), least) if width >= height else side
    wide = side if width >= height else max(int(width * scale), least)
    canvas, mask = np.zeros((side, side, 3), np.uint8), np.zeros((side, side), bool)
    canvas[:high, :wide] = resized(image, high, wide, settings.resample)
    mask[:high, :wide] = True
    return settings.normalized(canvas), mask
