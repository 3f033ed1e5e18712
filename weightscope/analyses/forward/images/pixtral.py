"""Image files of any size, padded to the largest of them (Pixtral, arXiv 2410.07073).

Source: `PixtralImageProcessor` of transformers, in its Pillow flavour, as `PixtralProcessor` calls it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from weightscope.analyses.forward.images.decoding import MAX_INPUT_PIXELS, as_it_is, resized
from weightscope.analyses.forward.images.settings import Resample, Said, Scaling, Sides
from weightscope.errors import NotImplementedByWeightscope

if TYPE_CHECKING:
    import numpy as np

    Image = np.ndarray[Any, Any]

Patch = Annotated[int, msgspec.Meta(ge=1, le=1024)]


class Patches(msgspec.Struct, frozen=True):
    """Height and width of a patch."""

    height: Patch = 16
    width: Patch = 16


class Whole(msgspec.Struct, frozen=True):
    """What a processor_config.json says: the patches that are merged to one, which image sizes are multiples of."""

    patch_size: Patch | None = None
    spatial_merge_size: Patch | None = None
    processor_class: str = ""

    @property
    def square(self) -> int | None:
        """Its side in pixels; None where the file says nothing of it, or the class does not pass it on."""
        if self.processor_class == "LightOnOcrProcessor" or (
            self.patch_size is None and self.spatial_merge_size is None
        ):
            return None
        return (self.patch_size or 16) * (self.spatial_merge_size or 1)


class Settings(Scaling, frozen=True, kw_only=True):
    """A preprocessor_config.json; where it says nothing, what the class takes."""

    do_resize: bool = True
    size: Sides = Sides(longest_edge=1024)
    patch_size: Patch | Patches = Patches()
    resample: Resample = 3
    do_pad: bool = True
    do_center_crop: bool = False

    def fitted(self, height: int, width: int, *, square: int | None) -> tuple[int, int]:
        """Height and width of an image within the size, rounded up to multiples of a patch or of `square`.

        Raises:
            ValueError: the size says neither a longest_edge nor height and width.
        """
        longest, size = self.size.longest_edge, self.size
        tallest, widest = (longest, longest) if longest else (size.height, size.width)
        if not (tallest and widest):
            raise ValueError("a size that is neither a longest_edge nor height and width")
        ratio = max(height / tallest, width / widest)
        if ratio > 1:
            height, width = math.floor(height / ratio), math.floor(width / ratio)
        own = self.patch_size if isinstance(self.patch_size, Patches) else Patches(self.patch_size, self.patch_size)
        tall, wide = (square, square) if square else (own.height, own.width)
        return ((height - 1) // tall + 1) * tall, ((width - 1) // wide + 1) * wide


def read(paths: Sequence[Path], said: Said) -> dict[str, np.ndarray[Any, Any]]:
    """`pixel_values`, float32 [images, 3, height, width], and `image_sizes` [images, 2] as height and width.

    Raises:
        UsageError: a file cannot be read as an image.
        CheckpointError: the settings say nothing that can be done.
        NotImplementedByWeightscope: images are to be cropped.
        WeightscopeError: Pillow is not installed, or no process for it can be started.
    """
    settings, square = said.as_kind(Settings), said.beside("processor_config.json", Whole).square
    if settings.do_center_crop:
        raise NotImplementedByWeightscope("do_center_crop of Pixtral is not implemented", where=said.source)
    return padded([_scaled(as_it_is(path), settings, square) for path in paths], together=settings.do_pad)


def padded(images: Sequence[Image], *, together: bool) -> dict[str, np.ndarray[Any, Any]]:
    """Images [3, height, width] in one array, with zeros below and to the right of the smaller ones.

    Raises:
        ValueError: they have several sizes and are not to be padded; they have too many pixels.
    """
    import numpy as np

    sizes = np.array([image.shape[1:] for image in images], np.int64)
    tallest, widest = (int(side) for side in sizes.max(axis=0))
    if not together and len(np.unique(sizes, axis=0)) > 1:
        raise ValueError("images become several sizes, and do_pad is false")
    if len(images) * tallest * widest > 8 * MAX_INPUT_PIXELS:
        raise ValueError(f"{len(images):,} images of {widest:,} × {tallest:,} pixels; the limit is 67 million pixels")
    pixels = np.zeros((len(images), 3, tallest, widest), np.float32)
    for place, image in zip(pixels, images, strict=True):
        place[:, : image.shape[1], : image.shape[2]] = image
    return {"pixel_values": pixels, "image_sizes": sizes}


def _scaled(image: Image, settings: Settings, square: int | None) -> Image:
    if settings.do_resize:
        image = resized(image, *settings.fitted(*image.shape[:2], square=square), settings.resample)
    return settings.normalized(image)
