"""Image files as patches, each at about its own size (MiniMax-M3, 2026).

Source: `MiniMaxM3VLImageProcessor` of transformers, which only torchvision computes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weightscope.analyses.forward.children.image import fitted
from weightscope.analyses.forward.images import qwen2_vl
from weightscope.analyses.forward.images.decoding import MAX_INPUT_PIXELS, as_it_is
from weightscope.analyses.forward.images.interpolated import check_filter, interpolated
from weightscope.analyses.forward.images.settings import Said
from weightscope.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

    Image = np.ndarray[Any, Any]

USUAL = qwen2_vl.Areas(4 * 28 * 28, 451584)
# What published settings say of the size, which no code has used.
UNUSED = [672, 672]


class Settings(qwen2_vl.Settings, frozen=True, kw_only=True):
    """A preprocessor_config.json; where it says nothing, what the class takes."""

    size: qwen2_vl.Areas | list[int] = USUAL  # type: ignore[assignment]

    @property
    def fit(self) -> dict[str, float] | None:
        """What the size of an image becomes: sides that are multiples of `factor`, between so many pixels.

        Raises:
            ValueError: the size does not say both limits.
        """
        size = USUAL if self.size == UNUSED else self.size
        if not self.do_resize:
            return None
        size = qwen2_vl.Areas() if isinstance(size, list) else size
        return self.between(self.min_pixels or size.shortest_edge, self.max_pixels or size.longest_edge)


def read(paths: Sequence[Path], said: Said) -> dict[str, np.ndarray[Any, Any]]:
    """`pixel_values` [patches, values] of all images, float32, and `image_grid_thw` [images, 3].

    Raises:
        UsageError: a file cannot be read as an image.
        CheckpointError: the settings say nothing that can be done.
        WeightscopeError: Pillow is not installed, or no process for it can be started.
    """
    import numpy as np

    settings = said.as_kind(Settings)
    check_filter(settings.resample)
    found, grids = [], []
    for path in paths:
        patches, grid = qwen2_vl.patches_of(_resized(path, settings), settings)
        found.append(patches)
        grids.append(grid)
    return {"pixel_values": np.concatenate(found), "image_grid_thw": np.array(grids, np.int64)}


def _resized(path: Path, settings: Settings) -> Image:
    """The image, uint8 [height, width, 3], as large as the settings say."""
    import torch

    image, fit = as_it_is(path), settings.fit
    if fit is None:
        return image
    try:
        width, height = fitted(image.shape[1], image.shape[0], **fit)
    except ValueError as error:
        raise UsageError(f"cannot be read as an image ({error})", where=path) from None
    if width * height > MAX_INPUT_PIXELS:
        raise ValueError(f"an image of {width:,} × {height:,} pixels; the limit is {MAX_INPUT_PIXELS:,} pixels")
    channels = torch.from_numpy(image.copy()).permute(2, 0, 1)
    resized: Image = interpolated(channels, height, width, settings.resample, antialias=True).permute(1, 2, 0).numpy()
    return resized
