"""Image files as a small whole and tiles of the grid that suits them (Perception-LM, arXiv 2504.13180).

Source: `PerceptionLMImageProcessor` of transformers, which only torchvision computes.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import floor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from weightscope.analyses.forward.images.decoding import MAX_INPUT_PIXELS, as_it_is
from weightscope.analyses.forward.images.interpolated import check_filter, interpolated
from weightscope.analyses.forward.images.settings import EvenScaling, Resample, Said, Side

if TYPE_CHECKING:
    import numpy as np
    import torch

Grid = tuple[int, int]


class Settings(EvenScaling, frozen=True, kw_only=True):
    """A preprocessor_config.json; where it says nothing, what the class takes."""

    do_resize: bool = True
    resample: Resample = 3
    vision_input_type: str = "thumb+tile"
    tile_size: Side = 448
    max_num_tiles: Annotated[int, msgspec.Meta(ge=1, le=256)] = 36


def read(paths: Sequence[Path], said: Said) -> dict[str, np.ndarray[Any, Any]]:
    """`pixel_values`, float32 [1, tiles of all images, 3, side, side], and `num_tiles` [images].

    Raises:
        UsageError: a file cannot be read as an image.
        CheckpointError: the settings say nothing that can be done.
        WeightscopeError: Pillow is not installed, or no process for it can be started.
    """
    import numpy as np
    import torch

    settings = said.as_kind(Settings)
    side = settings.tile_size
    if settings.max_num_tiles * side * side > MAX_INPUT_PIXELS:
        raise ValueError(f"{settings.max_num_tiles:,} tiles of {side:,} × {side:,} pixels")
    if not settings.do_resize:
        raise ValueError("do_resize is false, and tiles have one size")
    check_filter(settings.resample)
    found = []
    for path in paths:
        image = torch.from_numpy(as_it_is(path).copy()).permute(2, 0, 1)
        found.append(_tiles(image, settings))
    pixels = torch.cat(found).float().numpy()
    for tile in pixels:
        settings.scale(tile)
    return {"pixel_values": pixels[None], "num_tiles": np.array([len(tiles) for tiles in found], np.int64)}


def _tiles(image: torch.Tensor, settings: Settings) -> torch.Tensor:
    """The whole image [3, h, w] in the size of a tile, then its tiles, [tiles, 3, side, side]."""
    import torch

    side, resample = settings.tile_size, settings.resample
    whole = interpolated(image, side, side, resample, antialias=True)[None]
    if settings.vision_input_type != "thumb+tile":
        return whole
    height, width = image.shape[1:]
    across, down = grid(width, height, side, settings.max_num_tiles)
    split = interpolated(image, down * side, across * side, resample, antialias=True).view(3, down, side, across, side)
    return torch.cat((whole, split.permute(1, 3, 0, 2, 4).flatten(0, 1)))


def grid(width: int, height: int, side: int, most: int) -> Grid:
    """Tiles across and down: where an image fits, the grid that makes it largest, or else the one of nearest shape."""
    if most == 1:
        return 1, 1
    by_ratio = _by_ratio(most)
    fitting = [
        (across, down)
        for grids in by_ratio.values()
        for across, down in grids
        if across * side >= width and down * side >= height
    ]
    if fitting:
        # Of equal ones the last.
        return max(reversed(fitting), key=lambda found: _shorter(width, height, found[0] * side, found[1] * side))
    ratio = width / height
    if ratio >= 1:
        nearest = min((known for known in by_ratio if known <= ratio), key=lambda known: abs(known - ratio))
        return max(by_ratio[nearest], key=lambda found: found[0])
    nearest = min((known for known in by_ratio if known > ratio), key=lambda known: abs(1 / known - 1 / ratio))
    return max(by_ratio[nearest], key=lambda found: found[1])


def _by_ratio(most: int) -> dict[float, list[Grid]]:
    """All grids of so many tiles, by how wide they are for their height, those of most tiles first."""
    found: dict[float, list[Grid]] = {}
    for count in range(most, 0, -1):
        for across in range(1, count + 1):
            if count % across == 0:
                found.setdefault(across / (count // across), []).append((across, count // across))
    return found


def _shorter(width: int, height: int, wide: int, tall: int) -> float:
    """The shorter side that an image has within a canvas."""
    shape, scale = width / height, min(wide / width, tall / height)
    if shape > 1:
        return floor(scale * width / shape)
    return scale * height if shape == 1 else floor(scale * height * shape)
