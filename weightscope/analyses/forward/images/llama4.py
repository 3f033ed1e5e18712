"""An image as tiles of one size, with the whole image as one more (Llama 4, Meta 2025).

Source: `Llama4ImageProcessor` of transformers, which only torchvision computes: colours are rounded to bfloat16.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import floor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from weightscope.analyses.forward.images.decoding import MAX_INPUT_PIXELS, as_it_is
from weightscope.analyses.forward.images.interpolated import check_filter, interpolated
from weightscope.analyses.forward.images.settings import EvenScaling, Resample, Said, Sides

if TYPE_CHECKING:
    import numpy as np
    import torch


class Settings(EvenScaling, frozen=True, kw_only=True):
    """A preprocessor_config.json; where it says nothing, what the class takes."""

    do_resize: bool = True
    size: Sides = Sides(height=336, width=336)
    resample: Resample = 2
    max_patches: Annotated[int, msgspec.Meta(ge=1, le=256)] = 16
    resize_to_max_canvas: bool = False

    def side(self) -> int:
        """The side of a tile in pixels.

        Raises:
            ValueError: the settings are none with which the class makes tiles.
        """
        side = self.size.square()
        if self.max_patches * side * side > MAX_INPUT_PIXELS:
            raise ValueError(f"{self.max_patches:,} tiles of {side:,} × {side:,} pixels")
        if not self.do_resize:
            raise ValueError("do_resize is false, and tiles have one size")
        check_filter(self.resample)
        if self.do_normalize and not self.do_rescale:
            raise ValueError("do_normalize without do_rescale")
        return side


def read(paths: Sequence[Path], said: Said) -> dict[str, np.ndarray[Any, Any]]:
    """`pixel_values` [tiles, 3, side, side] of all images, float32, and `aspect_ratios` [images, 2].

    Raises:
        UsageError: a file cannot be read as an image.
        CheckpointError: the settings say nothing that can be done.
        WeightscopeError: Pillow is not installed, or no process for it can be started.
    """
    import numpy as np
    import torch

    settings = said.as_kind(Settings)
    side = settings.side()
    found, ratios = [], []
    for path in paths:
        image = torch.from_numpy(as_it_is(path).copy()).permute(2, 0, 1)
        rows, columns = _canvas(image.shape[1], image.shape[2], settings, side)
        found.append(_tiles(image, rows, columns, settings, side))
        if rows * columns > 1:
            found.append(_scaled(interpolated(image, side, side, settings.resample, antialias=True), settings)[None])
        ratios.append((rows, columns))
    return {"pixel_values": torch.cat(found).float().numpy(), "aspect_ratios": np.array(ratios, np.int64)}


def _canvas(height: int, width: int, settings: Settings, side: int) -> tuple[int, int]:
    """Rows and columns of tiles on which the image is scaled least, of those the ones with the least area."""
    import numpy as np

    grids = [
        (rows, count // rows)
        for count in range(settings.max_patches, 0, -1)
        for rows in range(1, count + 1)
        if count % rows == 0
    ]
    high, wide = (np.array(sides, np.float32) * side for sides in zip(*grids, strict=True))
    scales = np.minimum(high / np.float32(height), wide / np.float32(width))
    larger = scales[scales >= 1]
    suiting = larger if len(larger) else scales[scales == scales.max()]
    best = suiting.max() if settings.resize_to_max_canvas else suiting.min()
    return min((grid for grid, scale in zip(grids, scales, strict=True) if scale == best), key=lambda g: g[0] * g[1])


def _tiles(image: torch.Tensor, rows: int, columns: int, settings: Settings, side: int) -> torch.Tensor:
    """The image in the upper left of rows × columns tiles, [rows · columns, 3, side, side]."""
    import torch

    height, width = image.shape[1:]
    high, wide = rows * side, columns * side
    if settings.resize_to_max_canvas:
        limits = high, wide
    else:
        limits = min(max(height, side), high), min(max(width, side), wide)
    if limits[1] / width < limits[0] / height:
        inner = min(floor(height * (limits[1] / width)), limits[0]), limits[1]
    else:
        inner = limits[0], min(floor(width * (limits[0] / height)), limits[1])
    tall, broad = (max(length, 1) for length in inner)
    placed = interpolated(image, tall, broad, settings.resample, antialias=True)
    canvas = torch.nn.functional.pad(placed, (0, wide - broad, 0, high - tall))
    split = _scaled(canvas, settings).view(3, rows, side, columns, side)
    return split.permute(1, 3, 0, 2, 4).flatten(0, 1)


def _scaled(image: torch.Tensor, settings: Settings) -> torch.Tensor:
    """Rescaled and normalized; both in bfloat16."""
    import torch

    if not settings.do_rescale:
        return image.float()
    if not settings.do_normalize:
        return image * settings.rescale_factor
    image = image.to(torch.bfloat16) * settings.rescale_factor
    mean, deviation = (
        torch.tensor(values, dtype=torch.bfloat16)[:, None, None]
        for values in (settings.image_mean, settings.image_std)
    )
    return (image - mean) / deviation
