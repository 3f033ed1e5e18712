"""Image files as patches at their own size, or as many as a model takes, on a black ground (Kimi-VL, arXiv 2504.07491).

Source: `KimiVLImageProcessor` of moonshotai/Kimi-VL-A3B-Instruct, which transformers does not have.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weightscope.analyses.forward.images.decoding import as_it_is, resized
from weightscope.analyses.forward.images.kimi_k25 import Count, Limit, cut, on_black
from weightscope.analyses.forward.images.settings import Said, Scaling
from weightscope.errors import NotImplementedByWeightscope

if TYPE_CHECKING:
    import numpy as np

# An image with so many patches on a side is beyond the tower's positions.
MOST_ON_A_SIDE = 512
BICUBIC = 3


class Settings(Scaling, frozen=True, kw_only=True):
    """A preprocessor_config.json; where it says nothing, what the class takes."""

    patch_size: Count = 14
    pad_input: bool = False
    in_token_limit: Limit = 4096
    merge_kernel_size: tuple[Count, Count] = (2, 2)

    def fitted(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of an image that has no more patches than it may."""
        count = (height // self.patch_size) * (width // self.patch_size)
        scale = math.sqrt(self.in_token_limit / count) if count > self.in_token_limit else 1.0
        return int(height * scale), int(width * scale)


def read(paths: Sequence[Path], said: Said) -> dict[str, np.ndarray[Any, Any]]:
    """`pixel_values`, float32 [patches, 3, patch, patch] of all images, and `image_grid_hws` [images, 2].

    Raises:
        UsageError: a file cannot be read as an image.
        CheckpointError: the settings say nothing that can be done.
        NotImplementedByWeightscope: images are to be cropped rather than padded, or patches merged to no squares.
        WeightscopeError: Pillow is not installed, or no process for it can be started.
    """
    import numpy as np

    settings = said.as_kind(Settings)
    merge, other = settings.merge_kernel_size
    if not settings.pad_input or merge != other:
        what = "pad_input false" if merge == other else "a merge_kernel_size that is no square"
        raise NotImplementedByWeightscope(f"{what} of Kimi-VL is not implemented", where=said.source)
    found, grids = [], []
    for path in paths:
        image = as_it_is(path)
        size = settings.fitted(*image.shape[:2])
        image = image if size == image.shape[:2] else resized(image, *size, BICUBIC)
        pixels = settings.normalized(on_black(image, settings.patch_size * merge))
        patches, grid = cut(pixels, settings.patch_size)
        if max(grid) >= MOST_ON_A_SIDE:
            raise ValueError(f"an image of {grid[1]:,} × {grid[0]:,} patches; a side has less than {MOST_ON_A_SIDE}")
        found.append(patches)
        grids.append(grid)
    return {"pixel_values": np.concatenate(found), "image_grid_hws": np.array(grids, np.int64)}
