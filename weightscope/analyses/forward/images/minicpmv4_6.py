"""Image files in about one area, and large ones in slices besides, all patches in one row (MiniCPM-V 4.6).

Source: `MiniCPMV4_6ImageProcessor` of transformers, in its Pillow flavour.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from weightscope.analyses.forward.images.decoding import as_it_is
from weightscope.analyses.forward.images.minicpmv import Side, Size, cut, sides
from weightscope.analyses.forward.images.settings import EvenScaling, Said

if TYPE_CHECKING:
    import numpy as np


class Marks(msgspec.Struct, frozen=True, kw_only=True, rename=lambda name: f"{name}_token"):
    """What a tokenizer says stands around images, slices and the numbers of images."""

    image_start: Literal["<image>"] = "<image>"
    image_end: Literal["</image>"] = "</image>"
    slice_start: Literal["<slice>"] = "<slice>"
    slice_end: Literal["</slice>"] = "</slice>"
    image_id_start: Literal["<image_id>"] = "<image_id>"
    image_id_end: Literal["</image_id>"] = "</image_id>"


class Tokenizer(msgspec.Struct, frozen=True, kw_only=True):
    """A tokenizer_config.json, where it says so below a key of its own."""

    extra_special_tokens: Marks | list[object] = []
    model_specific_special_tokens: Marks = Marks()


class Processor(msgspec.Struct, frozen=True, kw_only=True):
    """A processor_config.json."""

    use_image_id: bool = True


class Settings(EvenScaling, frozen=True, kw_only=True):
    """A preprocessor_config.json; where it says nothing, what the class takes."""

    do_resize: bool = True
    resample: Literal[3] = 3
    max_slice_nums: Annotated[int, msgspec.Meta(ge=1, le=64)] = 9
    scale_resolution: Side = 448
    patch_size: Side = 14
    slice_mode: bool = True
    downsample_mode: str = "16x"
    use_image_id: bool = True

    def grid(self, height: int, width: int) -> Size:
        """Rows and columns of slices whose shape is nearest to the image's, of equal ones that with most rows.

        (0, 0) where it stays whole.
        """
        wanted = min(math.ceil(width * height / self.scale_resolution**2), self.max_slice_nums)
        if not self.slice_mode or wanted <= 1:
            return 0, 0
        counts = [count for count in (wanted - 1, wanted, wanted + 1) if 1 < count <= self.max_slice_nums]
        grids = [(rows, count // rows) for count in counts for rows in range(1, count + 1) if count % rows == 0]
        ratio = math.log(width / height)
        return min(grids, key=lambda grid: (abs(ratio - math.log(grid[1] / grid[0])), -grid[0]))

    def size(self, height: float, width: float, *, enlarged: bool) -> Size:
        """Sides of whole squares of patches that become one vector, of about `scale_resolution`² pixels if the image is
        larger or is to be `enlarged`.
        """
        square = self.patch_size * (2 if self.downsample_mode == "4x" else 4)
        return sides(height, width, self.scale_resolution, square, enlarged=enlarged)


def read(paths: Sequence[Path], said: Said) -> dict[str, np.ndarray[Any, Any]]:
    """`pixel_values`, float32 [1, 3, patch, all patches · patch], `target_sizes` [slices, 2], `grids` [images, 2] and
    `num_patches_per_image` [images].

    `grids` are rows and columns of each image's slices.

    Raises:
        UsageError: a file cannot be read as an image.
        CheckpointError: the settings say nothing that can be done.
        WeightscopeError: Pillow is not installed, or no process for it can be started.
    """
    import numpy as np

    settings = said.as_kind(Settings)
    for kind in (Marks, Tokenizer):
        said.beside("tokenizer_config.json", kind)
    numbered = settings.use_image_id and said.beside("processor_config.json", Processor).use_image_id
    if not (settings.do_resize and numbered):
        raise ValueError("do_resize or use_image_id is false, which is not implemented")
    patch, strips, sizes, grids, counts = settings.patch_size, [], [], [], []
    for path in paths:
        image = as_it_is(path)
        grids.append(settings.grid(*image.shape[:2]))
        slices = [settings.normalized(part) for part in cut(image, grids[-1], settings)]
        counts.append(len(slices))
        for part in slices:
            rows, columns = part.shape[1] // patch, part.shape[2] // patch
            sizes.append((rows, columns))
            strips.append(part.reshape(3, rows, patch, columns, patch).transpose(0, 2, 1, 3, 4).reshape(3, patch, -1))
    return {
        "pixel_values": np.concatenate(strips, axis=-1)[None],
        "target_sizes": np.array(sizes, np.int64),
        "grids": np.array(grids, np.int64),
        "num_patches_per_image": np.array(counts, np.int64),
    }
