"""Image files as rows of patches, each image in its own shape (Fuyu).

Source: `FuyuImageProcessor` and `FuyuProcessor` of transformers, in their Pillow flavour.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from weightscope.analyses.forward.images.decoding import MAX_INPUT_PIXELS, as_it_is, resized
from weightscope.analyses.forward.images.settings import (
    EvenScaling,
    Resample,
    Said,
    Side,
    Sides,
)

if TYPE_CHECKING:
    import numpy as np

Byte = Annotated[float, msgspec.Meta(ge=0, le=255)]


class Settings(EvenScaling, frozen=True, kw_only=True):
    """A preprocessor_config.json; where it says nothing, what the class takes."""

    do_resize: bool = True
    size: Sides = Sides(height=1080, width=1920)
    patch_size: Side | Sides = Sides(height=30, width=30)
    resample: Resample = 2
    do_pad: bool = True
    padding_value: Byte = 1.0
    padding_mode: str = "constant"

    @property
    def patch(self) -> tuple[int, int]:
        """Height and width of a patch.

        Raises:
            ValueError: the settings do not say both.
        """
        size = self.patch_size
        height, width = (size, size) if isinstance(size, int) else (size.height, size.width)
        if not height or not width:
            raise ValueError("a patch_size without height and width")
        return height, width

    @property
    def most(self) -> tuple[int, int]:
        """Height and width that an image has at most.

        Raises:
            ValueError: the settings do not say both, or more than a model takes.
        """
        height, width = self.size.height, self.size.width
        if not height or not width or height * width > MAX_INPUT_PIXELS:
            raise ValueError(f"a size of {width} × {height} pixels; both are needed, and {MAX_INPUT_PIXELS:,} at most")
        return height, width


def read(paths: Sequence[Path], said: Said) -> dict[str, np.ndarray[Any, Any]]:
    """`pixel_values` [patches, values] of all images, float32, and their heights and widths [images, 1] in pixels.

    Raises:
        UsageError: a file cannot be read as an image.
        CheckpointError: the settings say nothing that can be done.
        WeightscopeError: Pillow is not installed, or no process for it can be started.
    """
    import numpy as np

    settings = _settings(said)
    images = [_fitted(as_it_is(path), settings) for path in paths]
    return {
        "pixel_values": np.concatenate([_patches(image, settings) for image in images]),
        "image_unpadded_heights": np.array([[image.shape[0]] for image in images], np.int64),
        "image_unpadded_widths": np.array([[image.shape[1]] for image in images], np.int64),
    }


def _settings(said: Said) -> Settings:
    """The settings; one number stands for all colours."""
    # msgspec 0.22 reads the bounds of a number that may also be a tuple from elsewhere, so the type cannot say it.
    colours = {
        key: [said.settings[key]] * 3
        for key in ("image_mean", "image_std")
        if isinstance(said.settings.get(key), int | float)
    }
    return msgspec.structs.replace(said, settings=said.settings | colours).as_kind(Settings)


def _fitted(image: np.ndarray[Any, Any], settings: Settings) -> np.ndarray[Any, Any]:
    """The image [height, width, 3], smaller where it is too large."""
    (height, width), (tall, wide) = image.shape[:2], settings.most
    if height <= tall and width <= wide:
        return image
    if not settings.do_resize:
        raise ValueError(f"an image of {width:,} × {height:,} pixels is not resized; the size is {wide:,} × {tall:,}")
    scale = min(tall / height, wide / width)
    return resized(image, int(height * scale), int(width * scale), settings.resample)


def _patches(image: np.ndarray[Any, Any], settings: Settings) -> np.ndarray[Any, Any]:
    """The patches [rows · columns, height · width · 3] of an image that is padded to whole ones."""
    import numpy as np

    (height, width), (high, wide) = image.shape[:2], settings.patch
    rows, columns = -(-height // high), -(-width // wide)
    padding = ((0, rows * high - height), (0, columns * wide - width), (0, 0))
    if any(after for _, after in padding):
        tall, broad = settings.most
        if not settings.do_pad or rows * high > tall or columns * wide > broad or settings.padding_mode != "constant":
            raise ValueError(f"an image of {width:,} × {height:,} pixels is no multiple of a patch and is not padded")
        image = np.pad(image, padding, constant_values=int(settings.padding_value))
    pixels = settings.normalized(image)
    split = pixels.reshape(3, rows, high, columns, wide)
    return np.ascontiguousarray(split.transpose(1, 3, 2, 4, 0).reshape(rows * columns, -1))
