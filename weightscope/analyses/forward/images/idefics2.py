"""Image files near their own size, padded to the largest of them (Idefics 2, arXiv 2405.02246).

Source: `Idefics2ImageProcessor` of transformers, in its Pillow flavour.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weightscope.analyses.forward.images.decoding import MAX_INPUT_PIXELS, as_it_is, resized
from weightscope.analyses.forward.images.settings import EvenScaling, Resample, Said, Sides

if TYPE_CHECKING:
    import numpy as np

    Image = np.ndarray[Any, Any]


class Settings(EvenScaling, frozen=True, kw_only=True):
    """A preprocessor_config.json; where it says nothing, what the class takes."""

    do_resize: bool = True
    size: Sides = Sides(shortest_edge=378, longest_edge=980)
    resample: Resample = 2
    do_image_splitting: bool = False
    do_pad: bool = True

    def fitted(self, height: int, width: int) -> tuple[int, int]:
        """Height and width: the longer side no longer than the longest edge, no side shorter than the shortest.

        Raises:
            ValueError: the size says neither both edges nor height and width.
        """
        least, most = self.size.shortest_edge, self.size.longest_edge
        if not (least and most):
            if self.size.height and self.size.width:
                return self.size.height, self.size.width
            raise ValueError("a size that is neither shortest_edge and longest_edge nor height and width")
        ratio = width / height
        if width >= height and width > most:
            height, width = int(most / ratio), most
        elif height > width and height > most:
            height, width = most, int(most * ratio)
        return max(height, least), max(width, least)


def read(paths: Sequence[Path], said: Said) -> dict[str, np.ndarray[Any, Any]]:
    """`pixel_values`, float32 [1, pieces, 3, height, width], zeros below and right of each, their mask, and
    `num_patches` [images]: of how many pieces each is made.

    Raises:
        UsageError: a file cannot be read as an image.
        CheckpointError: the settings say nothing that can be done.
        WeightscopeError: Pillow is not installed, or no process for it can be started.
    """
    import numpy as np

    settings = said.as_kind(Settings)
    pieces: list[Image] = []
    for path in paths:
        pieces += (settings.normalized(piece) for piece in _pieces(as_it_is(path), settings))
    numbers = np.full(len(paths), len(pieces) // len(paths), np.int64)
    height, width = (max(piece.shape[axis] for piece in pieces) for axis in (1, 2))
    if not settings.do_pad and any(piece.shape[1:] != (height, width) for piece in pieces):
        raise ValueError("images become several sizes, and do_pad is false")
    if len(pieces) * height * width > 8 * MAX_INPUT_PIXELS:
        raise ValueError(f"{len(pieces):,} images of {width:,} × {height:,} pixels; the limit is 67 million pixels")
    pixels = np.zeros((1, len(pieces), 3, height, width), np.float32)
    mask = np.zeros((1, len(pieces), height, width), np.int64)
    for number, piece in enumerate(pieces):
        pixels[0, number, :, : piece.shape[1], : piece.shape[2]] = piece
        mask[0, number, : piece.shape[1], : piece.shape[2]] = 1
    masked = {"pixel_attention_mask": mask} if settings.do_pad else {}
    return {"pixel_values": pixels, **masked, "num_patches": numbers}


def _pieces(image: Image, settings: Settings) -> list[Image]:
    """The image, with `do_image_splitting` after its quarters, each resized by itself."""
    found = [image]
    if settings.do_image_splitting:
        down, right = image.shape[0] // 2, image.shape[1] // 2
        if not (down and right):
            raise ValueError("an image of one row or column, which has no quarters")
        found = [part for half in (image[:down], image[down:]) for part in (half[:, :right], half[:, right:])] + found
    if not settings.do_resize:
        return found
    return [resized(piece, *settings.fitted(*piece.shape[:2]), settings.resample) for piece in found]
