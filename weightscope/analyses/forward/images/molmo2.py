"""A picture in one size, then larger in overlapping crops; which patches are pooled together (Molmo 2, Ai2 2025).

Source: `Molmo2ImageProcessor` of transformers, which only torchvision computes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from weightscope.analyses.forward.images.decoding import MAX_INPUT_PIXELS, as_it_is
from weightscope.analyses.forward.images.interpolated import check_filter, interpolated
from weightscope.analyses.forward.images.settings import (
    EvenScaling,
    Resample,
    Said,
    Side,
    Sides,
)

if TYPE_CHECKING:
    import numpy as np
    import torch

    Array = np.ndarray[Any, Any]

Count = Annotated[int, msgspec.Meta(ge=1, le=64)]
Margin = Annotated[int, msgspec.Meta(ge=0, le=64)]


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """What a processor_config.json says of how a picture is written."""

    image_use_col_tokens: bool = True
    use_single_crop_col_tokens: bool = True
    use_single_crop_start_token: bool = True


class Settings(EvenScaling, frozen=True, kw_only=True):
    """A preprocessor_config.json; where it says nothing, what the class takes."""

    size: Sides = Sides(height=378, width=378)
    resample: Resample = 2
    max_crops: Count = 8
    overlap_margins: tuple[Margin, Margin] = (4, 4)
    patch_size: Side = 14
    pooling_size: tuple[Count, Count] = (2, 2)

    @property
    def side(self) -> int:
        """Patches along a side of a crop."""
        return self.size.square() // self.patch_size

    @property
    def step(self) -> int:
        """Patches along a side that no other crop has."""
        return self.side - sum(self.overlap_margins)

    def checked(self) -> None:
        """Raise a ValueError where the settings are none with which the class makes crops."""
        side = self.size.square()
        check_filter(self.resample)
        if side % self.patch_size or self.step < 1:
            raise ValueError(f"crops of {side:,} pixels, patches of {self.patch_size:,}, and these overlap_margins")
        if (self.max_crops + 1) * side * side > 4 * MAX_INPUT_PIXELS:
            raise ValueError(f"{self.max_crops:,} crops of {side:,} × {side:,} pixels")

    def tiling(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of crops on which the picture is scaled least, of equal ones those with the least area."""
        import numpy as np

        margin, step = sum(self.overlap_margins) * self.patch_size, self.step * self.patch_size
        numbers = range(1, self.max_crops + 1)
        grids = [(rows, columns) for rows in numbers for columns in numbers if rows * columns <= self.max_crops]
        grids.sort(key=lambda grid: (grid[0] * grid[1], grid[0]))
        own = np.array((height - margin, width - margin), np.float32)
        with np.errstate(divide="ignore", invalid="ignore"):
            scales = (np.array(grids, np.float32) * np.float32(step) / own).min(-1)
        if bool((scales < 1).all()):
            return grids[int(scales.argmax())]
        return grids[int(np.where(scales < 1, np.float32(10e9), scales).argmin())]


def read(paths: Sequence[Path], said: Said) -> dict[str, Array]:
    """`pixel_values` [crops, patches, values], float32, `image_token_pooling` [windows, patches of one], `image_grids`
    [images, 4] and `image_num_crops` [images].

    Raises:
        UsageError: a file cannot be read as an image.
        CheckpointError: the settings say nothing that can be done.
        WeightscopeError: Pillow is not installed, or no process for it can be started.
    """
    import numpy as np

    settings, written = said.as_kind(Settings), said.beside("processor_config.json", Written)
    settings.checked()
    if written != Written():
        raise ValueError("a picture is written without some of its tokens, which is not implemented")
    crops: list[Array] = []
    windows, grids, counts, first = [], [], [], 0
    for path in paths:
        found, pooled, grid = _cut(path, settings)
        windows.append(np.where(pooled >= 0, pooled + first, -1))
        crops.append(found)
        grids.append(grid)
        counts.append(len(found))
        first += len(found) * settings.side**2
    return {
        "pixel_values": np.concatenate(crops),
        "image_token_pooling": np.concatenate(windows),
        "image_grids": np.array(grids, np.int64),
        "image_num_crops": np.array(counts, np.int64),
    }


def _cut(path: Path, settings: Settings) -> tuple[Array, Array, list[int]]:
    """The patches of the whole picture and of its crops, which of them are pooled, and rows and columns of windows."""
    import numpy as np
    import torch

    image, side, patch = torch.from_numpy(as_it_is(path).copy()).permute(2, 0, 1), settings.side, settings.patch_size
    rows, columns = settings.tiling(*image.shape[1:])
    margin, step = sum(settings.overlap_margins), settings.step
    tall, wide = (count * step + margin for count in (rows, columns))
    whole = _resized(image, side * patch, side * patch, settings)
    canvas = torch.from_numpy(_resized(image, tall * patch, wide * patch, settings))
    tiles = canvas.unfold(1, side * patch, step * patch).unfold(2, side * patch, step * patch)
    crops = np.concatenate((whole[None], tiles.permute(1, 2, 0, 3, 4).flatten(0, 1).numpy()))
    patches = crops.reshape(-1, 3, side, patch, side, patch).transpose(0, 2, 4, 3, 5, 1)
    low, *low_grid = _windows(np.arange(side * side).reshape(side, side), settings.pooling_size)
    high, *high_grid = _windows(_owned(rows, columns, settings) + side * side, settings.pooling_size)
    return patches.reshape(len(crops), side * side, -1), np.concatenate((low, high)), [*low_grid, *high_grid]


def _owned(rows: int, columns: int, settings: Settings) -> Array:
    """Of each patch of the canvas, the number of the one among all crops' that stands for it.

    Where crops overlap, each keeps what is nearer to its middle.
    """
    import numpy as np

    side, (before, after) = settings.side, settings.overlap_margins
    numbers = np.arange(rows * columns * side * side).reshape(rows, columns, side, side)
    grid = []
    for row in range(rows):
        top, bottom = before if row else 0, side - (after if row < rows - 1 else 0)
        line = [
            numbers[row, column, top:bottom, before if column else 0 : side - (after if column < columns - 1 else 0)]
            for column in range(columns)
        ]
        grid.append(np.concatenate(line, axis=1))
    return np.concatenate(grid)


def _windows(grid: Array, size: tuple[int, int]) -> tuple[Array, int, int]:
    """Windows [M, W] of so many rows and columns of a grid, filled up with -1, and how many there are of both."""
    import numpy as np

    fill = [-length % of for length, of in zip(grid.shape, size, strict=True)]
    padded = np.pad(grid, [(extra // 2, (extra + 1) // 2) for extra in fill], constant_values=-1)
    rows, columns = padded.shape[0] // size[0], padded.shape[1] // size[1]
    split = padded.reshape(rows, size[0], columns, size[1]).transpose(0, 2, 1, 3)
    return split.reshape(rows * columns, -1), rows, columns


def _resized(image: torch.Tensor, height: int, width: int, settings: Settings) -> Array:
    """The picture in another size, float32 [3, height, width], rescaled and normalized."""
    resized = interpolated(image.float(), height, width, settings.resample, antialias=False)
    pixels: Array = resized.round().clamp(0, 255).contiguous().numpy().copy()
    settings.scale(pixels)
    return pixels
