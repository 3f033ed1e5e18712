"""Image files as LLaVA-OneVision takes them: one as tiles, each of several as a square.

Source: `LlavaOnevisionImageProcessor` of transformers, in its Pillow flavour.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weightscope.analyses.forward.images import llava_next
from weightscope.analyses.forward.images.decoding import MAX_PIXELS, as_it_is
from weightscope.analyses.forward.images.settings import Said, Side, Sides

if TYPE_CHECKING:
    import numpy as np

SIDES = range(384, 2305, 384)


class Settings(llava_next.Settings, frozen=True, kw_only=True):
    """A preprocessor_config.json; where it says nothing, what the class takes."""

    size: Side | Sides = Sides(height=384, width=384)
    do_center_crop: bool = False
    image_grid_pinpoints: llava_next.Resolutions = tuple(product(SIDES, SIDES))


def read(paths: Sequence[Path], said: Said) -> dict[str, np.ndarray[Any, Any]]:
    """`pixel_values`, float32 [images, tiles, 3, height, width], `image_sizes` [images, 2], `batch_num_images` [1].

    Raises:
        UsageError: a file cannot be read as an image.
        CheckpointError: the settings say nothing that can be done.
        WeightscopeError: Pillow is not installed, or no process for it can be started.
    """
    import numpy as np

    settings = said.as_kind(Settings)
    images = [as_it_is(path) for path in paths]
    cut = (
        [llava_next.tiles(images[0], settings)] if len(images) == 1
        else [[_square(image, settings)] for image in images]
    )  # fmt: skip
    return llava_next.gathered(images, cut, settings) | {"batch_num_images": np.array([len(images)], np.int64)}


def _square(image: np.ndarray[Any, Any], settings: Settings) -> np.ndarray[Any, Any]:
    """The image in the middle of a square in the colour of the mean."""
    import numpy as np

    height, width = image.shape[:2]
    side = max(height, width)
    if side * side > MAX_PIXELS:
        raise ValueError(f"it is padded to {side:,} × {side:,} pixels; the limit is {MAX_PIXELS:,}")
    canvas = np.empty((side, side, 3), np.uint8)
    canvas[:] = settings.colour
    top, left = (side - height) // 2, (side - width) // 2
    canvas[top : top + height, left : left + width] = image
    return canvas
