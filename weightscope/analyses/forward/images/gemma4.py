"""An image at about its own shape in as many patches as it may have, each with its column and row, as Gemma 4 takes it.

Source: `Gemma4ImageProcessor` and `Gemma4UnifiedImageProcessor` of transformers, the first in its Pillow flavour.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from weightscope.analyses.forward.images.decoding import MAX_INPUT_PIXELS, as_it_is, resized
from weightscope.analyses.forward.images.settings import Deviation, Level, Resample, Said, Scaling

if TYPE_CHECKING:
    import numpy as np

Count = Annotated[int, msgspec.Meta(ge=1, le=256)]
# Without a tower, a patch is as large as what the other pools.
UNPOOLED = "Gemma4UnifiedImageProcessor"


class Settings(Scaling, frozen=True, kw_only=True):
    """A preprocessor_config.json; where it says nothing, what the classes take."""

    do_resize: bool = True
    resample: Resample = 3
    do_normalize: bool = False
    image_mean: tuple[Level, Level, Level] = (0.0, 0.0, 0.0)
    image_std: tuple[Deviation, Deviation, Deviation] = (1.0, 1.0, 1.0)
    patch_size: Count = 16
    max_soft_tokens: Literal[70, 140, 280, 560, 1120] = 280
    pooling_kernel_size: Annotated[int, msgspec.Meta(ge=1, le=16)] = 3

    @property
    def unit(self) -> int:
        """Pixels of a side of what becomes one vector."""
        return self.patch_size * self.pooling_kernel_size

    def target(self, height: int, width: int) -> tuple[int, int]:
        """The largest height and width in whole units that keep the shape and become no more vectors than allowed.

        Raises:
            ValueError: there is none.
        """
        most = self.max_soft_tokens * self.unit**2
        # As transformers counts it, so that the last digit is the same.
        factor = math.sqrt(self.max_soft_tokens * self.pooling_kernel_size**2 * self.patch_size**2 / (height * width))
        tall, wide = (math.floor(factor * side / self.unit) * self.unit for side in (height, width))
        longest = self.max_soft_tokens * self.unit
        if not tall and not wide:
            raise ValueError(f"an image of {width:,} × {height:,} pixels, which becomes smaller than a patch")
        if not tall:
            tall, wide = self.unit, min(width // height * self.unit, longest)
        elif not wide:
            tall, wide = min(height // width * self.unit, longest), self.unit
        if tall * wide > most:
            raise ValueError(f"an image of {width:,} × {height:,} pixels, which takes over {most:,} pixels")
        return tall, wide


def read(paths: Sequence[Path], said: Said) -> dict[str, np.ndarray[Any, Any]]:
    """What the processor makes, filled up to as many patches as an image may have.

    `pixel_values` [images, patches, values], float32; `image_position_ids` [images, patches, 2], columns and rows, -1
    for what fills up; `num_soft_tokens_per_image` [images].

    Raises:
        UsageError: a file cannot be read as an image.
        CheckpointError: the settings say nothing that can be done.
        WeightscopeError: Pillow is not installed, or no process for it can be started.
    """
    import numpy as np

    settings = said.as_kind(Settings)
    pooled = 1 if said.processor == UNPOOLED else settings.pooling_kernel_size
    patch = settings.unit // pooled
    most = settings.max_soft_tokens * pooled**2
    if most * patch**2 > MAX_INPUT_PIXELS:
        raise ValueError(f"images of {most * patch**2:,} pixels; the limit is {MAX_INPUT_PIXELS:,} pixels")
    pixels = np.zeros((len(paths), most, 3 * patch**2), np.float32)
    places = np.full((len(paths), most, 2), -1, np.int64)
    counts = []
    for number, path in enumerate(paths):
        patches, grid = _patches(path, settings, patch)
        if len(patches) > most:
            raise ValueError(f"an image of {len(patches):,} patches, and at most {most:,} are allowed")
        pixels[number, : len(patches)], places[number, : len(grid)] = patches, grid
        counts.append(len(patches) // pooled**2)
    return {
        "pixel_values": pixels,
        "image_position_ids": places,
        "num_soft_tokens_per_image": np.array(counts, np.int64),
    }


def _patches(path: Path, settings: Settings, patch: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The patches [n, values] of an image, row by row, and the column and row [n, 2] of each."""
    import numpy as np

    image = as_it_is(path)
    height, width = image.shape[:2]
    if settings.do_resize and (target := settings.target(height, width)) != (height, width):
        image = resized(image, *target, settings.resample)
    rows, columns = image.shape[0] // patch, image.shape[1] // patch
    if image.shape[:2] != (rows * patch, columns * patch) or image.shape[0] * image.shape[1] > MAX_INPUT_PIXELS:
        raise ValueError(f"an image of {width:,} × {height:,} pixels, which is not cut into patches of {patch:,}")
    pixels = settings.normalized(image)
    split = pixels.reshape(3, rows, patch, columns, patch).transpose(1, 3, 2, 4, 0)
    grid = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1)
    return split.reshape(rows * columns, -1), grid.reshape(-1, 2)
