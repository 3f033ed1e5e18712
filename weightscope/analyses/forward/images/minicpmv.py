"""Image files in about one area, and large ones in slices besides (MiniCPM-V 2.6, arXiv 2408.01800).

Source: `MiniCPMVImageProcessor` of openbmb/MiniCPM-V-2_6.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

import msgspec

from weightscope.analyses.forward.images import got_ocr2
from weightscope.analyses.forward.images.decoding import as_it_is, resized
from weightscope.analyses.forward.images.settings import Deviation, Level, Said, Scaling

if TYPE_CHECKING:
    import numpy as np

    Image = np.ndarray[Any, Any]

BICUBIC = 3
Size = tuple[int, int]
Side = Annotated[int, msgspec.Meta(ge=1, le=1024)]


class Sizing(Protocol):
    """What says how large images and slices become."""

    def size(self, height: float, width: float, *, enlarged: bool) -> Size:
        """Height and width of an image of that size, or of a slice."""
        ...


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """A preprocessor_config.json; where it says nothing, what the class takes."""

    max_slice_nums: Annotated[int, msgspec.Meta(ge=1, le=64)] = 9
    scale_resolution: Side = 448
    patch_size: Side = 14
    slice_mode: bool = True
    use_image_id: bool = False
    im_start: Literal["<image>"] = "<image>"
    im_end: Literal["</image>"] = "</image>"
    slice_start: Literal["<slice>"] = "<slice>"
    slice_end: Literal["</slice>"] = "</slice>"
    im_id_start: Literal["<image_id>"] = "<image_id>"
    im_id_end: Literal["</image_id>"] = "</image_id>"
    unk: Literal["<unk>"] = "<unk>"
    norm_mean: tuple[Level, Level, Level] = (0.5, 0.5, 0.5)
    norm_std: tuple[Deviation, Deviation, Deviation] = (0.5, 0.5, 0.5)

    def grid(self, height: int, width: int) -> Size:
        """Rows and columns of slices whose shape is nearest to the image's; (0, 0) where it stays whole."""
        wanted = min(math.ceil(width * height / self.scale_resolution**2), self.max_slice_nums)
        if wanted <= 1:
            return 0, 0
        counts = [count for count in (wanted - 1, wanted, wanted + 1) if 1 < count <= self.max_slice_nums]
        grids = [(count // wide, wide) for count in counts for wide in range(1, count + 1) if count % wide == 0]
        return min(grids, key=lambda grid: abs(math.log(width / height) - math.log(grid[1] / grid[0])))

    def size(self, height: float, width: float, *, enlarged: bool) -> Size:
        """Sides of whole patches, of about `scale_resolution`² pixels if the image is larger or is to be `enlarged`."""
        return sides(height, width, self.scale_resolution, self.patch_size, enlarged=enlarged)


def read(paths: Sequence[Path], said: Said) -> dict[str, np.ndarray[Any, Any]]:
    """`pixel_values`, float32 [slices, 3, patch, patches · patch], `tgt_sizes` [slices, 2] and `grids` [images, 2].

    Slices are padded to the longest. `grids` are rows and columns of each image's slices.

    Raises:
        UsageError: a file cannot be read as an image.
        CheckpointError: the settings say nothing that can be done.
        WeightscopeError: Pillow is not installed, or no process for it can be started.
    """
    import numpy as np

    settings = said.as_kind(Settings)
    if not (settings.slice_mode and settings.use_image_id):
        raise ValueError("slice_mode or use_image_id is false, which is not implemented")
    scaling = Scaling(image_mean=settings.norm_mean, image_std=settings.norm_std)
    slices: list[Image] = []
    grids, patch = [], settings.patch_size
    for path in paths:
        image = as_it_is(path)
        grids.append(settings.grid(*image.shape[:2]))
        slices += [scaling.normalized(part) for part in cut(image, grids[-1], settings)]
    sizes = [(part.shape[1] // patch, part.shape[2] // patch) for part in slices]
    pixels = np.zeros((len(slices), 3, patch, patch * max(rows * columns for rows, columns in sizes)), np.float32)
    for target, part, (rows, columns) in zip(pixels, slices, sizes, strict=True):
        strip = part.reshape(3, rows, patch, columns, patch).transpose(0, 2, 1, 3, 4).reshape(3, patch, -1)
        target[:, :, : strip.shape[-1]] = strip
    return {"pixel_values": pixels, "tgt_sizes": np.array(sizes, np.int64), "grids": np.array(grids, np.int64)}


def cut(image: Image, grid: Size, settings: Sizing) -> list[Image]:
    """The whole image [height, width, 3], then its slices row by row.

    Raises:
        ValueError: a size is none that a model takes.
    """
    (height, width), (rows, columns) = image.shape[:2], grid
    if not rows:
        return [resized(image, *settings.size(height, width, enlarged=True), BICUBIC)]
    whole = resized(image, *settings.size(height, width, enlarged=False), BICUBIC)
    slice_size = settings.size(_multiple(height, rows) / rows, _multiple(width, columns) / columns, enlarged=True)
    return [whole, *got_ocr2.split(image, grid, slice_size, BICUBIC)]


def sides(height: float, width: float, resolution: int, square: int, *, enlarged: bool) -> Size:
    """Multiples of `square`, of about `resolution`² pixels if the image is larger or is to be `enlarged`."""
    if enlarged or width * height > resolution**2:
        ratio = width / height
        height = int(resolution / math.sqrt(ratio))
        width = int(height * ratio)
    return _multiple(height, square), _multiple(width, square)


def _multiple(length: float, of: int) -> int:
    """The multiple that is nearest, at least one."""
    return max(round(length / of) * of, of)
