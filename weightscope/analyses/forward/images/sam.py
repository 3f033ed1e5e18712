"""An image whose longer side is resized, with zeros below and to the right of it, as SAM takes it.

Source: `SamImageProcessor` of transformers, in its Pillow flavour.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weightscope.analyses.forward.images.clip import both
from weightscope.analyses.forward.images.decoding import as_it_is, resized
from weightscope.analyses.forward.images.settings import Deviation, Level, Resample, Said, Scaling, Side, Sides

if TYPE_CHECKING:
    import numpy as np


class Settings(Scaling, frozen=True, kw_only=True):
    """A preprocessor_config.json; where it says nothing, what the class takes."""

    do_resize: bool = True
    size: Sides = Sides(longest_edge=1024)
    resample: Resample = 2
    do_pad: bool = True
    pad_size: Side | Sides = Sides(height=1024, width=1024)
    image_mean: tuple[Level, Level, Level] = (0.485, 0.456, 0.406)
    image_std: tuple[Deviation, Deviation, Deviation] = (0.229, 0.224, 0.225)

    @property
    def edge(self) -> int:
        """The longer side to resize to.

        Raises:
            ValueError: the size does not say it.
        """
        if self.size.longest_edge is None:
            raise ValueError("a size without a longest_edge")
        return self.size.longest_edge

    @property
    def padded(self) -> tuple[int, int] | None:
        """Height and width to pad to.

        Raises:
            ValueError: the size does not say both, or is too large.
        """
        return both(self.pad_size, "pad_size") if self.do_pad else None


def read(paths: Sequence[Path], said: Said) -> dict[str, np.ndarray[Any, Any]]:
    """`pixel_values`, float32 [images, 3, height, width].

    Raises:
        UsageError: a file cannot be read as an image.
        CheckpointError: the settings say nothing that can be done.
        WeightscopeError: Pillow is not installed, or no process for it can be started.
    """
    import numpy as np

    settings = said.as_kind(Settings)
    return {"pixel_values": np.stack([_prepared(path, settings) for path in paths])}


def _prepared(path: Path, settings: Settings) -> np.ndarray[Any, Any]:
    """Float32 [3, height, width] of one image."""
    import numpy as np

    image = as_it_is(path)
    if settings.do_resize:
        scale = settings.edge / max(image.shape[:2])
        height, width = (int(side * scale + 0.5) for side in image.shape[:2])
        image = resized(image, height, width, settings.resample)
    pixels = settings.normalized(image)
    if settings.padded is None:
        return pixels
    below, beside = (wanted - there for wanted, there in zip(settings.padded, pixels.shape[1:], strict=True))
    if below < 0 or beside < 0:
        raise ValueError(f"an image of {pixels.shape[2]:,} × {pixels.shape[1]:,} pixels is larger than its pad_size")
    return np.pad(pixels, ((0, 0), (0, below), (0, beside)))
