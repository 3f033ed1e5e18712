"""Image files as patches at about their own size, on a black ground (Kimi K2.5, Moonshot AI 2026).

Sources: `Kimi_K25ImageProcessor` of transformers; `media_proc_cfg` of moonshotai/Kimi-K2.5, which resizes by Pillow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from weightscope.analyses.forward.images.decoding import MAX_INPUT_PIXELS, as_it_is, resized
from weightscope.analyses.forward.images.settings import Deviation, EvenScaling, Level, Resample, Said

if TYPE_CHECKING:
    import numpy as np

    Image = np.ndarray[Any, Any]

Count = Annotated[int, msgspec.Meta(ge=1, le=1024)]
Limit = Annotated[int, msgspec.Meta(ge=1, le=1 << 20)]


class Sides(msgspec.Struct, frozen=True):
    """The most patches of a side."""

    max_height: Limit = 512
    max_width: Limit = 512


class Media(msgspec.Struct, frozen=True, kw_only=True):
    """What Moonshot's own file says of it, under names of its own."""

    in_patch_limit: Limit | None = None
    patch_limit_on_one_side: Limit | None = None
    patch_size: Count | None = None
    merge_kernel_size: Count | None = None
    image_mean: tuple[Level, Level, Level] | None = None
    image_std: tuple[Deviation, Deviation, Deviation] | None = None


class Settings(EvenScaling, frozen=True, kw_only=True):
    """A preprocessor_config.json; where it says nothing, what the class takes."""

    do_resize: bool = True
    size: Sides = Sides()
    max_patches: Limit = 16384
    patch_size: Count = 14
    merge_size: Count = 2
    resample: Resample = 3
    media_proc_cfg: Media = Media()

    @property
    def translated(self) -> Settings:
        """The same with what Moonshot's names say in its place."""
        own = self.media_proc_cfg
        side = own.patch_limit_on_one_side
        said = {
            "size": side and Sides(side, side),
            "max_patches": own.in_patch_limit,
            "patch_size": own.patch_size,
            "merge_size": own.merge_kernel_size,
            "image_mean": own.image_mean,
            "image_std": own.image_std,
        }
        return msgspec.structs.replace(self, **{key: value for key, value in said.items() if value is not None})

    def fitted(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of an image that has no more patches than it may; never larger than it was.

        Raises:
            ValueError: the sides have several limits.
        """
        most, patch = self.size.max_height, self.patch_size
        if most != self.size.max_width:
            raise ValueError("a size whose max_height and max_width differ")
        count = max(1, height // patch) * max(1, width // patch)
        scale = min(1.0, math.sqrt(self.max_patches / count), most * patch / height, most * patch / width)
        tall, wide = (min(max(1, int(side * scale)), most * patch) for side in (height, width))
        return tall, wide


def read(paths: Sequence[Path], said: Said) -> dict[str, np.ndarray[Any, Any]]:
    """`pixel_values`, float32 [patches, 3, patch, patch] of all images, and `image_grid_thw` [images, 3].

    Raises:
        UsageError: a file cannot be read as an image.
        CheckpointError: the settings say nothing that can be done.
        WeightscopeError: Pillow is not installed, or no process for it can be started.
    """
    import numpy as np

    settings = said.as_kind(Settings).translated
    found, grids = [], []
    for path in paths:
        image = as_it_is(path)
        if settings.do_resize:
            image = resized(image, *settings.fitted(*image.shape[:2]), settings.resample)
            image = on_black(image, settings.patch_size * settings.merge_size)
        pixels = settings.normalized(image)
        patches, grid = cut(pixels, settings.patch_size)
        found.append(patches)
        grids.append(grid)
    return {"pixel_values": np.concatenate(found), "image_grid_thw": np.array([(1, *grid) for grid in grids], np.int64)}


def on_black(image: Image, factor: int) -> Image:
    """The image [height, width, 3] in the upper left corner of one whose sides are multiples of `factor`.

    Raises:
        ValueError: it has too many pixels.
    """
    import numpy as np

    height, width = image.shape[:2]
    tall, wide = (-(-side // factor) * factor for side in (height, width))
    if tall * wide > 2 * MAX_INPUT_PIXELS:
        raise ValueError(f"an image of {wide:,} × {tall:,} pixels; the limit is {2 * MAX_INPUT_PIXELS:,} pixels")
    return np.pad(image, ((0, tall - height), (0, wide - width), (0, 0)))


def cut(pixels: Image, patch: int) -> tuple[Image, tuple[int, int]]:
    """Of pixels [3, height, width] the patches [N, 3, patch, patch] row by row, and how many rows and columns."""
    rows, columns = pixels.shape[1] // patch, pixels.shape[2] // patch
    whole = pixels[:, : rows * patch, : columns * patch].reshape(3, rows, patch, columns, patch)
    return whole.transpose(1, 3, 0, 2, 4).reshape(-1, 3, patch, patch), (rows, columns)
