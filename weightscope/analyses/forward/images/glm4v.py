"""Image files as patches, each at about its own size (GLM-4.1V, arXiv 2507.01006).

Source: `Glm4vImageProcessor` of transformers, in its Pillow flavour.
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
    """A preprocessor_config.json; where it says nothing, what the class takes. It counts pixels of all frames."""

    size: qwen2_vl.Areas = qwen2_vl.Areas(112 * 112, 28 * 28 * 15000)

    @property
    def fit(self) -> dict[str, float] | None:
        """What the size of an image becomes; sides below `factor` grow to it first.

        Raises:
            ValueError: the size does not say both limits.
        """
        if not self.do_resize:
            return None
        least, most = self.size.shortest_edge, self.size.longest_edge
        if not least or not most:
            raise ValueError("a size without shortest_edge and longest_edge")
        frames = self.temporal_patch_size
        factor = self.patch_size * self.merge_size
        return {"factor": factor, "least": least / frames, "most": most / frames, "grows": 1}


def read(paths: Sequence[Path], said: Said) -> dict[str, np.ndarray[Any, Any]]:
    """`pixel_values` [patches, values] of all images, float32, and `image_grid_thw` [images, 3].

    Raises:
        UsageError: a file cannot be read as an image.
        CheckpointError: the settings say nothing that can be done.
        WeightscopeError: Pillow is not installed, or no process for it can be started.
    """
    return qwen2_vl.prepared(paths, said.as_kind(Settings))
