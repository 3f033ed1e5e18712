"""Image files whose longer side gets one size, padded to a square (DeepSeek-VL, arXiv 2403.05525).

Source: `DeepseekVLImageProcessor` of transformers, in its Pillow flavour.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weightscope.analyses.forward.images.decoding import MAX_INPUT_PIXELS, as_it_is, in_square, resized
from weightscope.analyses.forward.images.settings import Resample, Said, Scaling, Side, Sides

if TYPE_CHECKING:
    import numpy as np

    Image = np.ndarray[Any, Any]


class Settings(Scaling, frozen=True, kw_only=True):
    """A preprocessor_config.json; where it says nothing, what the class takes."""

    do_resize: bool = True
    do_pad: bool = True
    size: Sides = Sides(height=384, width=384)
    min_size: Side = 14
    resample: Resample = 3

    def fitted(self, height: int, width: int) -> tuple[int, int]:
        """Height and width: the longer side as the size says, no side shorter than the least.

        Raises:
            ValueError: the size is no square.
        """
        edge = self.size.height
        if edge is None or edge != self.size.width:
            raise ValueError("a size whose height and width are not the same")
        scale = edge / max(height, width)
        return max(round(height * scale), self.min_size), max(round(width * scale), self.min_size)

    @property
    def background(self) -> tuple[int, ...]:
        """The colour around an image, which is the mean.

        Raises:
            ValueError: the mean is no colour.
        """
        colour = tuple(int(part * 255) for part in self.image_mean)
        if not all(0 <= part <= 255 for part in colour):
            raise ValueError(f"an image_mean of {colour}, which is not a colour")
        return colour


def read(paths: Sequence[Path], said: Said) -> dict[str, np.ndarray[Any, Any]]:
    """`pixel_values`, float32 [images, 3, side, side].

    Raises:
        UsageError: a file cannot be read as an image.
        CheckpointError: the settings say nothing that can be done.
        WeightscopeError: Pillow is not installed, or no process for it can be started.
    """
    settings = said.as_kind(Settings)
    return {"pixel_values": stacked([squared(as_it_is(path), settings) for path in paths], settings)}


def squared(image: Image, settings: Settings) -> Image:
    """An image [height, width, 3] in its size and in the middle of a square, where the settings say so."""
    if settings.do_resize:
        image = resized(image, *settings.fitted(image.shape[0], image.shape[1]), settings.resample)
    return in_square(image, settings.background, MAX_INPUT_PIXELS) if settings.do_pad else image


def stacked(images: Sequence[Image], scaling: Scaling) -> Image:
    """Images of one size as float32 [images, 3, height, width], their colours scaled.

    Raises:
        ValueError: they have several sizes, or too many pixels.
    """
    import numpy as np

    height, width = images[0].shape[:2]
    if any(image.shape != images[0].shape for image in images):
        raise ValueError("images become several sizes")
    if len(images) * height * width > 8 * MAX_INPUT_PIXELS:
        raise ValueError(f"{len(images):,} images of {width:,} × {height:,} pixels; the limit is 67 million pixels")
    pixels = np.stack([image.transpose(2, 0, 1) for image in images]).astype(np.float32)
    for image in pixels:
        scaling.scale(image)
    return pixels
