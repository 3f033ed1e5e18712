"""An image cropped to one size, as CLIP takes it.

Source: `CLIPImageProcessor` and `LlavaImageProcessor` of transformers, in its Pillow flavour.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weightscope.analyses.forward.images.decoding import MAX_INPUT_PIXELS, decode
from weightscope.analyses.forward.images.settings import Resample, Said, Scaling, Side, Sides

if TYPE_CHECKING:
    import numpy as np


class Settings(Scaling, frozen=True, kw_only=True):
    """A preprocessor_config.json; where it says nothing, what the classes take."""

    do_pad: bool = False
    do_resize: bool = True
    size: Side | Sides = Sides(shortest_edge=224)
    resample: Resample = 3
    do_center_crop: bool = True
    crop_size: Side | Sides = Sides(height=224, width=224)

    @property
    def background(self) -> tuple[int, ...] | None:
        """The colour around an image that is padded to a square, if it is."""
        return self.colour if self.do_pad else None

    @property
    def colour(self) -> tuple[int, ...]:
        """The mean as a colour.

        Raises:
            ValueError: it is none.
        """
        colour = tuple(int(part * 255) for part in self.image_mean)
        if not all(0 <= part <= 255 for part in colour):
            raise ValueError(f"an image_mean of {colour}, which is not a colour")
        return colour

    @property
    def resized(self) -> tuple[int, ...] | None:
        """The shorter edge, or width and height, to resize to.

        Raises:
            ValueError: the size says neither.
        """
        if not self.do_resize:
            return None
        if isinstance(self.size, int):
            return (self.size,)
        match (self.size.width, self.size.height, self.size.shortest_edge, self.size.longest_edge):
            case (None, None, int(edge), None):
                return (edge,)
            case (int(width), int(height), None, None):
                return (width, height)
            case _:
                raise ValueError("a size that is neither a shortest_edge nor height and width")

    @property
    def cropped(self) -> tuple[int, int] | None:
        """Height and width to crop to.

        Raises:
            ValueError: the size does not say both, or is too large.
        """
        if not self.do_center_crop:
            return None
        return both(self.crop_size, "crop_size")


def read(paths: Sequence[Path], said: Said) -> dict[str, np.ndarray[Any, Any]]:
    """`pixel_values`, float32 [images, 3, height, width].

    Raises:
        UsageError: a file cannot be read as an image.
        CheckpointError: the settings say nothing that can be done.
        WeightscopeError: Pillow is not installed, or no process for it can be started.
    """
    import numpy as np

    settings = said.as_kind(Settings)
    return {"pixel_values": np.stack([prepared(path, settings) for path in paths])}


def prepared(path: Path, settings: Settings) -> np.ndarray[Any, Any]:
    """Float32 [3, height, width] of one image."""
    import numpy as np

    background, size, crop = settings.background, settings.resized, settings.cropped
    image = decode(path, background=background, size=size, resample=settings.resample)
    pixels = image.transpose(2, 0, 1).astype(np.float32)
    if crop:
        pixels = center_crop(pixels, *crop)
    settings.scale(pixels)
    return np.ascontiguousarray(pixels)


def both(size: Side | Sides, key: str) -> tuple[int, int]:
    """Height and width that the setting `key` says.

    Raises:
        ValueError: it does not say both, or they are too large.
    """
    height, width = (size, size) if isinstance(size, int) else (size.height, size.width)
    if height is None or width is None:
        raise ValueError(f"a {key} without height and width")
    if height * width > MAX_INPUT_PIXELS:
        raise ValueError(f"a {key} of {width:,} × {height:,} pixels; the limit is {MAX_INPUT_PIXELS:,} pixels")
    return height, width


def center_crop(pixels: np.ndarray[Any, Any], height: int, width: int) -> np.ndarray[Any, Any]:
    """The middle [3, height, width], with zeros around what is smaller."""
    import numpy as np

    tall, wide = pixels.shape[1:]
    around = [
        (0, 0),
        *(
            (-(-max(wanted - there, 0) // 2), max(wanted - there, 0) // 2)
            for wanted, there in ((height, tall), (width, wide))
        ),
    ]
    padded = np.pad(pixels, around)
    # The padding's larger half is before; the crop's offset is counted from the picture.
    top, left = (
        (there - wanted) // 2 + pad[0] for wanted, there, pad in ((height, tall, around[1]), (width, wide, around[2]))
    )
    return padded[:, max(top, 0) :, max(left, 0) :][:, :height, :width]
