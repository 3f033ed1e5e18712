"""Image files of any shape as rows of patches, as many as the encoder takes (SigLIP 2, arXiv 2502.14786).

Source: `Siglip2ImageProcessor` of transformers, in its Pillow flavour.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from weightscope.analyses.forward.images.decoding import as_it_is, resized
from weightscope.analyses.forward.images.settings import EvenScaling, Resample, Said, Scaling

if TYPE_CHECKING:
    import numpy as np

    Image = np.ndarray[Any, Any]

Patch = Annotated[int, msgspec.Meta(ge=1, le=1024)]
Patches = Annotated[int, msgspec.Meta(ge=1, le=1 << 16)]
# The scale is found by halving, between these bounds and as closely as this.
SMALLEST, LARGEST, CLOSE = 1e-6, 100.0, 1e-5


class Settings(EvenScaling, frozen=True, kw_only=True):
    """A preprocessor_config.json; where it says nothing, what the class takes."""

    do_resize: bool = True
    resample: Resample = 2
    patch_size: Patch = 16
    max_num_patches: Patches = 256


def read(paths: Sequence[Path], said: Said) -> dict[str, np.ndarray[Any, Any]]:
    """`pixel_values`, float32 [images, max_num_patches, values], zeros after an image's patches, `pixel_attention_mask`
    [images, max_num_patches], and rows and columns as `spatial_shapes` [images, 2].

    Raises:
        UsageError: a file cannot be read as an image.
        CheckpointError: the settings say nothing that can be done.
        WeightscopeError: Pillow is not installed, or no process for it can be started.
    """
    settings = said.as_kind(Settings)
    images = []
    for path in paths:
        image = as_it_is(path)
        if settings.do_resize:
            size = fitted((image.shape[0], image.shape[1]), settings.patch_size, settings.max_num_patches)
            image = resized(image, *size, settings.resample)
        images.append(image)
    return patched(images, settings.patch_size, settings.max_num_patches, settings)


def patched(images: Sequence[Image], patch: int, most: int, scaling: Scaling) -> dict[str, np.ndarray[Any, Any]]:
    """Images [height, width, 3] as rows of patches, as the encoder takes them.

    Raises:
        ValueError: an image has more patches than `most`, or none.
    """
    import numpy as np

    shapes = [(image.shape[0] // patch, image.shape[1] // patch) for image in images]
    for rows, columns in shapes:
        if not 0 < rows * columns <= most:
            raise ValueError(f"an image of {rows:,} × {columns:,} patches; an image has 1 to {most:,}")
    if len(images) * most * patch * patch > 1 << 26:
        raise ValueError(
            f"{len(images):,} images of {most:,} patches of {patch:,} pixels; the limit is 67 million pixels"
        )
    pixels = np.zeros((len(images), most, 3 * patch * patch), np.float32)
    mask = np.zeros((len(images), most), np.int32)
    for number, (image, (rows, columns)) in enumerate(zip(images, shapes, strict=True)):
        scaled = scaling.normalized(image)
        split = scaled[:, : rows * patch, : columns * patch].reshape(3, rows, patch, columns, patch)
        pixels[number, : rows * columns] = split.transpose(1, 3, 2, 4, 0).reshape(rows * columns, -1)
        mask[number, : rows * columns] = 1
    return {"pixel_values": pixels, "pixel_attention_mask": mask, "spatial_shapes": np.array(shapes, np.int64)}


def fitted(size: tuple[int, int], patch: int, most: int) -> tuple[int, int]:
    """Height and width, multiples of `patch`, of the largest scale under which the image has at most `most` patches."""
    least, largest = SMALLEST, LARGEST
    while largest - least >= CLOSE:
        middle = (least + largest) / 2
        tall, wide = (_multiple(middle * side, patch) for side in size)
        if (tall / patch) * (wide / patch) <= most:
            least = middle
        else:
            largest = middle
    return _multiple(least * size[0], patch), _multiple(least * size[1], patch)


def _multiple(size: float, patch: int) -> int:
    return max(patch, math.ceil(size / patch) * patch)
