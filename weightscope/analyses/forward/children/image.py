"""Pillow in a child process: decodes an image file, and pads and resizes it as a vision model takes it.

Source: `CLIPImageProcessor` and `LlavaImageProcessor` of transformers, in its Pillow flavour.
"""

from __future__ import annotations

import json
import math
import struct
import warnings
from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

# What models are given. Pillow knows others, and starts Ghostscript for one of them.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
# The width and height that precede the bytes of the answer.
SIZE = struct.Struct("<QQ")


def handle(payload: bytes) -> bytes:
    """Answer one request: width and height, then the RGB bytes of the rows."""
    image = prepared(**json.loads(payload))
    return SIZE.pack(*image.size) + image.tobytes()


def prepared(
    *,
    path: str,
    most_bytes: int,
    most_pixels: int,
    most_input: int,
    background: list[int] | None,
    size: list[int] | None,
    fit: dict[str, float] | None,
    resample: int,
) -> Image:
    """The image in RGB.

    Args:
        path: the file, bytes that are no UTF-8 escaped.
        most_bytes: of the file.
        most_pixels: of the image, and of the square that it is padded to.
        most_input: pixels of the image when it is resized.
        background: the colour around an image that is padded to a square; None for no padding.
        size: the shorter edge, or width and height; None for no resizing.
        fit: `factor` whose multiples the sides become, and the `least` and `most` pixels.
        resample: Pillow's number of a filter.
    """
    with open(path, "rb") as file:  # noqa: PTH123 - pathlib costs 10 ms
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise ValueError(f"it is larger than {most_bytes:,} bytes")
    image = decoded(content, most_pixels)
    if background is not None:
        image = square(image, background, most_pixels)
    if fit is not None:
        size = fitted(*image.size, **fit)
    if size is not None:
        width, height = target(image, size)
        refuse(width, height, most_input, "is resized to")
        return image.resize((width, height), resample=resample)
    refuse(*image.size, most_input, "is not resized, and has")
    return image


def decoded(content: bytes, most: int) -> Image:
    """The upright image in RGB, what shows through in white."""
    # WebP's plugin is not among those that Pillow imports by itself.
    from PIL import Image, ImageOps, UnidentifiedImageError, WebPImagePlugin  # noqa: F401

    # Whatever its limit is, ours is below it and said by us.
    Image.MAX_IMAGE_PIXELS = None
    warnings.simplefilter("ignore")
    try:
        with Image.open(BytesIO(content), formats=FORMATS) as image:
            refuse(*image.size, most, "has")
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
            return opaque(image)
    except UnidentifiedImageError:
        raise ValueError("it is an image of no known format") from None


def opaque(image: Image) -> Image:
    """In RGB, what shows through in white."""
    from PIL import Image as Images

    if "A" not in image.getbands() and image.info.get("transparency") is None:
        return image if image.mode == "RGB" else image.convert("RGB")
    flat = Images.new("RGBA", image.size, (255, 255, 255, 255))
    # One name, so that the white goes before another copy comes.
    flat = Images.alpha_composite(flat, image if image.mode == "RGBA" else image.convert("RGBA"))
    return flat.convert("RGB")


def square(image: Image, background: list[int], most: int) -> Image:
    """In the middle of a square, the rest in the background's colour."""
    from PIL import Image as Images

    side = max(image.size)
    refuse(side, side, most, "is padded to")
    canvas = Images.new("RGB", (side, side), (background[0], background[1], background[2]))
    canvas.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return canvas


def target(image: Image, size: list[int]) -> tuple[int, int]:
    """Width and height to resize to."""
    if len(size) == 2:
        return size[0], size[1]
    short, long = sorted(image.size)
    longer = int(size[0] * long / short)
    return (size[0], longer) if image.width <= image.height else (longer, size[0])


def fitted(width: int, height: int, /, *, factor: float, least: float, most: float, grows: float = 0) -> list[int]:
    """Width and height that are multiples of `factor`, near the image's own shape, between so many pixels.

    Where it `grows`, an image with a side below `factor` is first made larger, keeping its shape: 1 as GLM does it, 2
    as PaddleOCR does, side after side.
    """
    if grows == 2 and height < factor:
        height, width = int(factor), round(width * factor / height)
    if grows == 2 and width < factor:
        height, width = round(height * factor / width), int(factor)
    if grows == 1 and min(width, height) < factor:
        scale = max(factor / height, factor / width)
        height, width = int(height * scale), int(width * scale)
    if max(width, height) > 200 * min(width, height):
        raise ValueError(f"it is {width:,} × {height:,} pixels; one side may be 200 times the other at most")
    factor = int(factor)
    wide, high = round(width / factor) * factor, round(height / factor) * factor
    if wide * high > most:
        shrink = math.sqrt(width * height / most)
        wide, high = (max(factor, math.floor(side / shrink / factor) * factor) for side in (width, height))
    elif wide * high < least:
        grow = math.sqrt(least / (width * height))
        wide, high = (math.ceil(side * grow / factor) * factor for side in (width, height))
    return [wide, high]


def refuse(width: int, height: int, most: int, what: str) -> None:
    """Raise for too many pixels, or for none."""
    if not 0 < width * height <= most:
        raise ValueError(f"it {what} {width:,} × {height:,} pixels; the limit is {most:,} pixels")
