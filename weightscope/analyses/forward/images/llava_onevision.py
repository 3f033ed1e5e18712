"""Image files as LLaVA-OneVision takes them: one as tiles, each of several as a square.

Source: `LlavaOnevisionImageProcessor` of transformers, in its Pillow flavour.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weightscope.analyses.forward.images import llava_next
from weightscope.analyses.forward.images.decoding import MAX_PIXELS, as_it_is, in_square
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
        else [[in_square(image, settings.colour, MAX_PIXELS)] for image in images]
    )  # fmt: skip
    return llava_next.gathered(images, cut, settings) | {"batch_num_images": np.array([len(images)], np.int64)}
