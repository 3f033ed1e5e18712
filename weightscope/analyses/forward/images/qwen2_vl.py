"""Image files as patches, each at about its own size (Qwen2-VL, arXiv 2409.12191).

Source: `Qwen2VLImageProcessor` of transformers, in its Pillow flavour.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from weightscope.analyses.forward.images.decoding import decode
from weightscope.analyses.forward.images.settings import Resample, Said, Scaling

if TYPE_CHECKING:
    import numpy as np

Count = Annotated[int, msgspec.Meta(ge=1, le=1024)]
Area = Annotated[int, msgspec.Meta(ge=1, le=1 << 40)]


class Areas(msgspec.Struct, frozen=True):
    """The least and the most pixels of an image, by names that say otherwise."""

    shortest_edge: Area | None = None
    longest_edge: Area | None = None


class Settings(Scaling, frozen=True, kw_only=True):
    """A preprocessor_config.json; where it says nothing, what the class takes."""

    do_resize: bool = True
    size: Areas = Areas()
    min_pixels: Area | None = None
    max_pixels: Area | None = None
    resample: Resample = 3
    patch_size: Count = 14
    temporal_patch_size: Count = 2
    merge_size: Count = 2

    @property
    def fit(self) -> dict[str, float] | None:
        """What the size of an image becomes: sides that are multiples of `factor`, between so many pixels."""
        if not self.do_resize:
            return None
        return {
            "factor": self.patch_size * self.merge_size,
            "least": self.min_pixels or self.size.shortest_edge or 56 * 56,
            "most": self.max_pixels or self.size.longest_edge or 28 * 28 * 1280,
        }

    def between(self, least: int | None, most: int | None) -> dict[str, float]:
        """The same for limits that have to be said.

        Raises:
            ValueError: one is not.
        """
        if not least or not most:
            raise ValueError("a size without shortest_edge and longest_edge")
        return {"factor": self.patch_size * self.merge_size, "least": least, "most": most}


def read(paths: Sequence[Path], said: Said) -> dict[str, np.ndarray[Any, Any]]:
    """`pixel_values` [patches, values] of all images, float32, and `image_grid_thw` [images, 3].

    Raises:
        UsageError: a file cannot be read as an image.
        CheckpointError: the settings say nothing that can be done.
        WeightscopeError: Pillow is not installed, or no process for it can be started.
    """
    return prepared(paths, said.as_kind(Settings))


def prepared(paths: Sequence[Path], settings: Settings) -> dict[str, np.ndarray[Any, Any]]:
    """The arrays for settings that say what size an image gets.

    Raises:
        UsageError: a file cannot be read as an image.
        WeightscopeError: Pillow is not installed, or no process for it can be started.
    """
    import numpy as np

    found, grids = [], []
    for path in paths:
        image = decode(path, background=None, size=None, fit=settings.fit, resample=settings.resample)
        patches, grid = patches_of(image, settings)
        found.append(patches)
        grids.append(grid)
    return {"pixel_values": np.concatenate(found), "image_grid_thw": np.array(grids, np.int64)}


def patches_of(image: np.ndarray[Any, Any], settings: Settings) -> tuple[np.ndarray[Any, Any], tuple[int, int, int]]:
    """Of an image [height, width, 3] the patches, square by square, and their grid (1, rows, columns)."""
    import numpy as np

    pixels = settings.normalized(image)
    patch, merge, times = settings.patch_size, settings.merge_size, settings.temporal_patch_size
    rows, columns = pixels.shape[1] // patch, pixels.shape[2] // patch
    split = pixels.reshape(3, rows // merge, merge, patch, columns // merge, merge, patch)
    ordered = split.transpose(1, 4, 2, 5, 0, 3, 6)
    # A picture is a film of as many equal frames as one patch takes.
    repeated = np.repeat(ordered[:, :, :, :, :, None], times, axis=5)
    return repeated.reshape(rows * columns, -1), (1, rows, columns)
