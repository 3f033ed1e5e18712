"""Image files of any shape as flattened patches, each with its row and column (Pix2Struct, arXiv 2210.03347).

Source: `Pix2StructImageProcessor` of transformers, in its Pillow flavour.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from weightscope.analyses.forward.images.decoding import MAX_INPUT_PIXELS, as_it_is
from weightscope.analyses.forward.images.interpolated import interpolated
from weightscope.analyses.forward.images.settings import Said
from weightscope.errors import NotImplementedByWeightscope

if TYPE_CHECKING:
    import numpy as np
    import torch

    Image = np.ndarray[Any, Any]

BILINEAR = 2
Patch = Annotated[int, msgspec.Meta(ge=1, le=1024)]
Patches = Annotated[int, msgspec.Meta(ge=1, le=1 << 16)]


class PatchSize(msgspec.Struct, frozen=True):
    """A patch in pixels."""

    height: Patch = 16
    width: Patch = 16


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """A preprocessor_config.json; where it says nothing, what the class takes."""

    do_normalize: bool = True
    is_vqa: bool = False
    max_patches: Patches = 2048
    patch_size: PatchSize = PatchSize()


def read(paths: Sequence[Path], said: Said) -> dict[str, np.ndarray[Any, Any]]:
    """`flattened_patches`, float32 [images, max_patches, 2 + values], and which are patches, `attention_mask`.

    Raises:
        UsageError: a file cannot be read as an image.
        CheckpointError: the settings say nothing that can be done.
        NotImplementedByWeightscope: a question is written onto the image.
        WeightscopeError: Pillow is not installed, or no process for it can be started.
    """
    import numpy as np

    settings = said.as_kind(Settings)
    if settings.is_vqa:
        raise NotImplementedByWeightscope(
            "an image with a question written onto it (is_vqa) is not implemented",
            where=said.source,
            hint="give what the processor makes with --inputs FILE.npz",
        )
    if settings.max_patches * settings.patch_size.height * settings.patch_size.width > MAX_INPUT_PIXELS:
        raise ValueError(f"{settings.max_patches:,} patches of that size; the limit is {MAX_INPUT_PIXELS:,} pixels")
    patches = np.stack([flattened(as_it_is(path), settings) for path in paths])
    return {"flattened_patches": patches, "attention_mask": (patches.sum(axis=-1) != 0).astype(np.float32)}


def flattened(image: Image, settings: Settings) -> Image:
    """The patches [max_patches, 2 + values] of an image [height, width, 3], with zeros after the last.

    Raises:
        ValueError: there are more than so many.
    """
    import torch

    pixels = torch.from_numpy(normalized(image) if settings.do_normalize else image.copy()).movedim(-1, 0)
    tall, wide, most = settings.patch_size.height, settings.patch_size.width, settings.max_patches
    rows, columns = fitted(image.shape[0] / tall, image.shape[1] / wide, most)
    if rows * columns > most:
        raise ValueError(f"an image of {rows:,} × {columns:,} patches; the limit is {most:,}")
    made = interpolated(pixels.float(), rows * tall, columns * wide, BILINEAR, antialias=True)
    split = made.reshape(-1, rows, tall, columns, wide).permute(1, 3, 2, 4, 0).reshape(rows * columns, -1)
    places = _places(rows, columns)
    padded = torch.nn.functional.pad(torch.cat((places, split), dim=1), (0, 0, 0, most - rows * columns))
    found: Image = padded.numpy()
    return found


def normalized(image: Image) -> Image:
    """Less its own mean, by its own deviation."""
    import numpy as np

    wide = image.astype(np.float32)
    deviation = max(np.std(wide), 1.0 / math.sqrt(wide.size))
    found: Image = (wide - np.mean(wide)) / deviation
    return found


def fitted(height: float, width: float, most: int) -> tuple[int, int]:
    """Rows and columns of the largest scale under which an image of so many patches a side has at most `most`."""
    scale = math.sqrt(most / height / width)
    rows, columns = (max(min(int(scale * side), most), 1) for side in (height, width))
    return rows, columns


def _places(rows: int, columns: int) -> torch.Tensor:
    """The row and the column of each patch, counted from 1."""
    import torch

    places = torch.stack(torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij"), dim=-1)
    return (places.reshape(-1, 2) + 1).float()
