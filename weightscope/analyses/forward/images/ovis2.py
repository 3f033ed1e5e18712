"""Image files cut into tiles, after the whole image (Ovis 2, arXiv 2405.20797).

Source: `Ovis2ImageProcessor` of transformers, in its Pillow flavour.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weightscope.analyses.forward.images import got_ocr2
from weightscope.analyses.forward.images.decoding import as_it_is, resized
from weightscope.analyses.forward.images.settings import Said

if TYPE_CHECKING:
    import numpy as np

# As much of the image as tiles are to show in their own resolution.
COVERED = 0.9


class Settings(got_ocr2.Settings, frozen=True, kw_only=True):
    """A preprocessor_config.json; where it says nothing, what the class takes."""

    use_covering_area_grid: bool = True

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns: the fewest tiles that cover the image, or those whose shape is nearest to it."""
        if not self.use_covering_area_grid:
            return super().grid(height, width)
        most = self.max_patches
        grids = [(first, second) for first in range(1, most + 1) for second in range(1, most + 1)]
        covered = {
            grid: _covered(height, width, grid, self.tile[0])
            for grid in sorted((grid for grid in grids if math.prod(grid) <= most), key=math.prod)
        }
        enough = {grid: share for grid, share in covered.items() if share > COVERED}
        if enough:
            first, second = min(enough, key=lambda grid: (math.prod(grid), -enough[grid]))
        else:
            first, second = min(covered, key=lambda grid: (-covered[grid], math.prod(grid)))
        # The search splits rows by the first number; the cut takes it for columns.
        return second, first


def read(paths: Sequence[Path], said: Said) -> dict[str, np.ndarray[Any, Any]]:
    """`pixel_values`, float32 [tiles, 3, height, width], and `grids` [images, 2] of rows and columns.

    Raises:
        UsageError: a file cannot be read as an image.
        CheckpointError: the settings say nothing that can be done.
        WeightscopeError: Pillow is not installed, or no process for it can be started.
    """
    import numpy as np

    settings = said.as_kind(Settings)
    found, grids = [], []
    for path in paths:
        image = as_it_is(path)
        if settings.crop_to_patches and settings.max_patches > 1:
            grid = settings.grid(image.shape[0], image.shape[1])
            tiles = got_ocr2.cut(image, grid, settings.tile, settings.resample)
            found.append([tiles[-1], *tiles[:-1]] if len(tiles) > 1 else tiles)
        else:
            grid = (1, 1)
            found.append([resized(image, *settings.tile, settings.resample) if settings.do_resize else image])
        grids.append(grid)
    return {"pixel_values": got_ocr2.stacked(found, settings)["pixel_values"], "grids": np.array(grids, np.int64)}


def _covered(height: int, width: int, grid: tuple[int, int], side: int) -> float:
    """Which share of the image the parts of a grid show when each is scaled down to a tile of that side."""
    rows, columns = grid
    tall, wide = height // rows, width // columns
    total = 0.0
    for row in range(rows):
        for column in range(columns):
            long = height - row * tall if row == rows - 1 else tall
            across = width - column * wide if column == columns - 1 else wide
            longer, shorter = max(long, across), min(long, across)
            total += shorter / longer * side * side if longer > side else longer * shorter
    return total / (height * width)
