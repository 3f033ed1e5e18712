"""An image whose shorter side is resized and whose middle is cropped, or a large one resized to a square (ConvNeXt).

Source: `ConvNextImageProcessor` of transformers, in its Pillow flavour.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from weightscope.analyses.forward.images import clip
from weightscope.analyses.forward.images.settings import Deviation, Level, Said, Side, Sides
from weightscope.errors import NotImplementedByWeightscope

if TYPE_CHECKING:
    import numpy as np

# From this side on nothing is cropped.
LARGE = 384


class Settings(clip.Settings, frozen=True, kw_only=True):
    """A preprocessor_config.json; `crop_pct` is the share of the shorter side that the crop takes."""

    size: Side | Sides = Sides(shortest_edge=LARGE)
    crop_pct: Annotated[float, msgspec.Meta(ge=1 / 64, le=64)] = 224 / 256
    do_center_crop: bool = False
    image_mean: tuple[Level, Level, Level] = (0.5, 0.5, 0.5)
    image_std: tuple[Deviation, Deviation, Deviation] = (0.5, 0.5, 0.5)

    @property
    def edge(self) -> int:
        """The side of what comes out.

        Raises:
            ValueError: the size does not say it.
        """
        edge = self.size if isinstance(self.size, int) else self.size.shortest_edge
        if edge is None:
            raise ValueError("a size without a shortest_edge")
        return edge

    @property
    def resized(self) -> tuple[int, ...] | None:
        """The shorter edge to resize to, or width and height."""
        if not self.do_resize:
            return None
        return (int(self.edge / self.crop_pct),) if self.edge < LARGE else (self.edge, self.edge)

    @property
    def cropped(self) -> tuple[int, int] | None:
        """Height and width to crop to."""
        return (self.edge, self.edge) if self.do_resize and self.edge < LARGE else None


def read(paths: Sequence[Path], said: Said) -> dict[str, np.ndarray[Any, Any]]:
    """`pixel_values`, float32 [images, 3, height, width].

    Raises:
        UsageError: a file cannot be read as an image.
        CheckpointError: the settings say nothing that can be done.
        NotImplementedByWeightscope: images are to be cropped again, or padded.
        WeightscopeError: Pillow is not installed, or no process for it can be started.
    """
    import numpy as np

    settings = said.as_kind(Settings)
    for key in ("do_center_crop", "do_pad"):
        if getattr(settings, key):
            raise NotImplementedByWeightscope(f"{key} of {said.processor} is not implemented", where=said.source)
    return {"pixel_values": np.stack([clip.prepared(path, settings) for path in paths])}
