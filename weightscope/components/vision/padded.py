"""Images of several sizes padded to one, as Pixtral's image processor makes them, cut into patches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightscope.components.runnable import PIXELS, Inputs
from weightscope.components.vision.grids import Grid
from weightscope.components.vision.patches import PatchProjection
from weightscope.errors import UsageError

if TYPE_CHECKING:
    import torch

IMAGE_SIZES = "image_sizes"
# Of one image: more than any processor makes.
MOST_PATCHES = 1 << 18


def grids_of(inputs: Inputs, patches: PatchProjection) -> list[Grid]:
    """Rows and columns of patches of each image, by `image_sizes`; without them images are as large as the pixels.

    Raises:
        UsageError: the arrays have other shapes, or an image is larger than the pixels or smaller than a patch.
    """
    pixels, patch, channels = inputs[PIXELS], int(patches.patch), int(patches.channels)
    if pixels.ndim != 4 or pixels.shape[1] != channels or not pixels.numel():
        raise UsageError(f"{PIXELS} has shape {list(pixels.shape)}, not [images, {channels}, height, width]")
    sizes = inputs.get(IMAGE_SIZES)
    tallest, widest = pixels.shape[2:]
    if sizes is None:
        found = [(tallest, widest)] * len(pixels)
    elif tuple(sizes.shape) != (len(pixels), 2):
        raise UsageError(f"{IMAGE_SIZES} has shape {list(sizes.shape)}, and {PIXELS} tells {[len(pixels), 2]}")
    else:
        found = [(int(height), int(width)) for height, width in sizes.tolist()]
    grids = []
    for height, width in found:
        if not (patch <= height <= tallest and patch <= width <= widest):
            raise UsageError(
                f"{IMAGE_SIZES} has {[height, width]}: an image has at least {patch} and at most {[tallest, widest]}"
            )
        rows, columns = height // patch, width // patch
        if rows * columns > MOST_PATCHES:
            raise UsageError(f"{IMAGE_SIZES} has {[height, width]}: an image has at most {MOST_PATCHES:,} patches")
        grids.append((1, rows, columns))
    return grids


def cut(inputs: Inputs, patches: PatchProjection) -> tuple[torch.Tensor, list[Grid]]:
    """The patches [N, channels · patch · patch] of all images, row by row, and each image's grid.

    Raises:
        UsageError: as for `grids_of`.
    """
    import torch

    grids, patch = grids_of(inputs, patches), int(patches.patch)
    found = []
    for image, (_, rows, columns) in zip(inputs[PIXELS], grids, strict=True):
        whole = image[:, : rows * patch, : columns * patch].reshape(len(image), rows, patch, columns, patch)
        found.append(whole.permute(1, 3, 0, 2, 4).reshape(rows * columns, -1))
    return torch.cat(found), grids
