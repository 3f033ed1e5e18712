"""Image files as patches, each at about its own size (ERNIE 4.5 VL, Baidu 2025).

Source: `Ernie4_5_VLMoeImageProcessor` of transformers, in its Pillow flavour.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weightscope.analyses.forward.images import qwen2_vl
from weightscope.analyses.forward.images.settings import Said

if TYPE_CHECKING:
    import numpy as np


class Settings(qwen2_vl.Settings, frozen=True, kw_only=True):
    """A preprocessor_config.json; where it says nothing, what the class takes. Of limits `size` alone counts."""

    size: qwen2_vl.Areas = qwen2_vl.Areas(56 * 56, 28 * 28 * 6177)
    temporal_patch_size: qwen2_vl.Count = 1

    @property
    def fit(self) -> dict[str, float] | None:
        """What the size of an image becomes.

        Raises:
            ValueError: the size does not say both limits.
        """
        return self.between(self.size.shortest_edge, self.size.longest_edge) if self.do_resize else None


def read(paths: Sequence[Path], said: Said) -> dict[str, np.ndarray[Any, Any]]:
    """`pixel_values` [patches, values] of all images, float32, and `image_grid_thw` [images, 3].

    Raises:
        UsageError: a file cannot be read as an image.
        CheckpointError: the settings say nothing that can be done.
        WeightscopeError: Pillow is not installed, or no process for it can be started.
    """
    return qwen2_vl.prepared(paths, said.as_kind(Settings))
