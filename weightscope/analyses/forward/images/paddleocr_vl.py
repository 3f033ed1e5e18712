"""Image files as patches that are pictures of their own, row by row (PaddleOCR-VL, arXiv 2510.14528).

Source: `PaddleOCRVLImageProcessor` of transformers, in its Pillow flavour.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weightscope.analyses.forward.images import qwen2_vl
from weightscope.analyses.forward.images.decoding import decode
from weightscope.analyses.forward.images.settings import Said

if TYPE_CHECKING:
    import numpy as np


class Settings(qwen2_vl.Settings, frozen=True, kw_only=True):
    """A preprocessor_config.json; where it says nothing, what the class takes."""

    size: qwen2_vl.Areas = qwen2_vl.Areas(384 * 384, 1536 * 1536)
    temporal_patch_size: qwen2_vl.Count = 1

    @property
    def fit(self) -> dict[str, float] | None:
        """What the size of an image becomes; each side below `factor` grows to it first."""
        fit = super().fit
        return None if fit is None else fit | {"grows": 2}


def read(paths: Sequence[Path], said: Said) -> dict[str, np.ndarray[Any, Any]]:
    """`pixel_values` [patches, channels, patch, patch] of all images, float32, and `image_grid_thw` [images, 3].

    Raises:
        UsageError: a file cannot be read as an image.
        CheckpointError: the settings say nothing that can be done.
        WeightscopeError: Pillow is not installed, or no process for it can be started.
    """
    settings = said.as_kind(Settings)
    found = row_by_row(paths, settings, settings.resample)
    pixels, patch = found["pixel_values"], settings.patch_size
    return found | {"pixel_values": pixels.reshape(len(pixels), -1, patch, patch)}


def row_by_row(paths: Sequence[Path], settings: qwen2_vl.Settings, resample: int) -> dict[str, np.ndarray[Any, Any]]:
    """`pixel_values` [patches, channels · patch · patch] of all images, float32, and `image_grid_thw` [images, 3].

    Raises:
        UsageError: a file cannot be read as an image.
        ValueError: an image that is not resized makes no whole patches.
        WeightscopeError: Pillow is not installed, or no process for it can be started.
    """
    import numpy as np

    found, grids = [], []
    patch, times = settings.patch_size, settings.temporal_patch_size
    for path in paths:
        image = decode(path, background=None, size=None, fit=settings.fit, resample=resample)
        pixels = settings.normalized(image)
        rows, columns = pixels.shape[1] // patch, pixels.shape[2] // patch
        if pixels.shape[1:] != (rows * patch, columns * patch):
            raise ValueError(f"an image of {image.shape[1]:,} × {image.shape[0]:,} pixels in patches of {patch:,}")
        split = pixels.reshape(3, rows, patch, columns, patch).transpose(1, 3, 0, 2, 4)
        found.append(np.repeat(split[:, :, :, None], times, axis=3).reshape(rows * columns, -1))
        grids.append((1, rows, columns))
    return {"pixel_values": np.concatenate(found), "image_grid_thw": np.array(grids, np.int64)}
