"""Image files cut into tiles, with the whole image after them (Command A Vision, Cohere 2025).

Source: `Cohere2VisionImageProcessor` of transformers, which resizes by torchvision: here Pillow does, so that a value
may be off by one step of 256.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weightscope.analyses.forward.images import got_ocr2
from weightscope.analyses.forward.images.decoding import as_it_is, resized
from weightscope.analyses.forward.images.settings import Said, Sides

if TYPE_CHECKING:
    import numpy as np


class Settings(got_ocr2.Settings, frozen=True, kw_only=True):
    """A preprocessor_config.json; where it says nothing, what the class takes."""

    size: Sides = Sides(height=512, width=512)
    crop_to_patches: bool = True

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns that enlarge the image the least, or if all are too small, that shrink it the least."""
        most, tile = self.max_patches, self.tile[0]
        grids = [(wide, tall) for wide in range(1, most + 1) for tall in range(1, most + 1) if wide * tall <= most]
        scales = {grid: min(grid[0] * tile / width, grid[1] * tile / height) for grid in sorted(grids, key=math.prod)}
        large = {grid: scale for grid, scale in scales.items() if scale >= 1}
        best = min(large, key=lambda grid: large[grid]) if large else max(scales, key=lambda grid: scales[grid])
        return best[1], best[0]


def read(paths: Sequence[Path], said: Said) -> dict[str, np.ndarray[Any, Any]]:
    """`pixel_values`, float32 [tiles, 3, height, width], and `num_patches` [images] of tiles.

    Raises:
        UsageError: a file cannot be read as an image.
        CheckpointError: the settings say nothing that can be done.
        WeightscopeError: Pillow is not installed, or no process for it can be started.
    """
    settings = said.as_kind(Settings)
    found = []
    for path in paths:
        image = as_it_is(path)
        if settings.crop_to_patches:
            found.append(got_ocr2.cut(image, settings.grid(*image.shape[:2]), settings.tile, settings.resample))
        else:
            found.append([resized(image, *settings.tile, settings.resample) if settings.do_resize else image])
    return got_ocr2.stacked(found, settings)
