"""Image files as tiles, by the model's config.json: OpenGVLab's own code does not read preprocessor_config.json.

Source: `dynamic_preprocess` and `build_transform` in the model card of OpenGVLab/InternVL2_5-1B.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from weightscope.analyses.forward.images import got_ocr2
from weightscope.analyses.forward.images.decoding import as_it_is
from weightscope.analyses.forward.images.got_ocr2 import Tiles
from weightscope.analyses.forward.images.settings import Said, Side, Sides

if TYPE_CHECKING:
    import numpy as np

# Of ImageNet's pictures.
MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)
BICUBIC = 3


class Tower(msgspec.Struct, frozen=True):
    """What vision_config says of a tile."""

    image_size: Side = 448


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """A config.json."""

    vision_config: Tower = Tower()
    force_image_size: Side | None = None
    dynamic_image_size: bool = False
    min_dynamic_patch: Tiles = 1
    max_dynamic_patch: Tiles = 6
    use_thumbnail: bool = False

    @property
    def tiling(self) -> got_ocr2.Settings:
        """The same as settings of tiles."""
        side = self.force_image_size or self.vision_config.image_size
        return got_ocr2.Settings(
            size=Sides(height=side, width=side),
            min_patches=self.min_dynamic_patch,
            max_patches=self.max_dynamic_patch,
            image_mean=MEAN,
            image_std=DEVIATION,
        )


def read(paths: Sequence[Path], said: Said) -> dict[str, np.ndarray[Any, Any]]:
    """`pixel_values`, float32 [tiles, 3, side, side], and `num_patches` [images] of tiles.

    Raises:
        UsageError: a file cannot be read as an image.
        CheckpointError: the settings say nothing that can be done.
        WeightscopeError: Pillow is not installed, or no process for it can be started.
    """
    settings = said.as_kind(Settings)
    tiling = settings.tiling
    found = []
    for path in paths:
        image = as_it_is(path)
        grid = tiling.grid(*image.shape[:2]) if settings.dynamic_image_size else (1, 1)
        tiles = got_ocr2.cut(image, grid, tiling.tile, BICUBIC)
        found.append(tiles if settings.use_thumbnail else tiles[: grid[0] * grid[1]])
    return got_ocr2.stacked(found, tiling)
