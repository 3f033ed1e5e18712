"""An image resized to a square whatever its shape, as BLIP takes it.

Source: `BlipImageProcessor` of transformers, in its Pillow flavour.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weightscope.analyses.forward.images import clip
from weightscope.analyses.forward.images.settings import Said, Side, Sides

if TYPE_CHECKING:
    import numpy as np


class Settings(clip.Settings, frozen=True, kw_only=True):
    """A preprocessor_config.json; where it says nothing, what the class takes."""

    size: Side | Sides = Sides(height=384, width=384)
    do_center_crop: bool = False

    @property
    def resized(self) -> tuple[int, ...] | None:
        """Width and height to resize to; one number is both."""
        if self.do_resize and isinstance(self.size, int):
            return self.size, self.size
        return super().resized


def read(paths: Sequence[Path], said: Said) -> dict[str, np.ndarray[Any, Any]]:
    """`pixel_values`, float32 [images, 3, height, width].

    Raises:
        UsageError: a file cannot be read as an image.
        CheckpointError: the settings say nothing that can be done.
        WeightscopeError: Pillow is not installed, or no process for it can be started.
    """
    import numpy as np

    settings = said.as_kind(Settings)
    return {"pixel_values": np.stack([clip.prepared(path, settings) for path in paths])}
