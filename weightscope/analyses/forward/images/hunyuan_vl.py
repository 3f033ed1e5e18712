"""Image files as patches row by row, each at about its own size (HunyuanOCR, arXiv 2511.19575).

Source: `HunYuanVLImageProcessor` of transformers, in its Pillow flavour.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weightscope.analyses.forward.images import paddleocr_vl, qwen2_vl
from weightscope.analyses.forward.images.settings import Said

if TYPE_CHECKING:
    import numpy as np

BICUBIC = 3


class Settings(qwen2_vl.Settings, frozen=True, kw_only=True):
    """A preprocessor_config.json; where it says nothing, what the class takes, which ignores its `resample`."""

    size: qwen2_vl.Areas = qwen2_vl.Areas(512 * 512, 2048 * 2048)
    patch_size: qwen2_vl.Count = 16
    temporal_patch_size: qwen2_vl.Count = 1


def read(paths: Sequence[Path], said: Said) -> dict[str, np.ndarray[Any, Any]]:
    """`pixel_values` [patches, values] of all images, float32, and `image_grid_thw` [images, 3].

    Raises:
        UsageError: a file cannot be read as an image.
        CheckpointError: the settings say nothing that can be done.
        WeightscopeError: Pillow is not installed, or no process for it can be started.
    """
    return paddleocr_vl.row_by_row(paths, said.as_kind(Settings), BICUBIC)
