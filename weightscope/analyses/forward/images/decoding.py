"""An image file decoded by Pillow in a process of its own, and arrays of pixels resized by Pillow in this one."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weightscope.analyses.forward.child import Child, ChildError
from weightscope.analyses.forward.children.image import SIZE
from weightscope.errors import UsageError, WeightscopeError

if TYPE_CHECKING:
    import numpy as np

# Of a file; of the image in it and of the square it is padded to; of what a model is given, 2,896 × 2,896.
MAX_IMAGE = 64_000_000
MAX_PIXELS = 50_000_000
MAX_INPUT_PIXELS = 2**23
# Of processor time; an image of the most pixels takes half of it.
IMAGE_SECONDS = 3.0


def decode(
    path: Path,
    *,
    background: tuple[int, ...] | None,
    size: tuple[int, ...] | None,
    fit: dict[str, float] | None = None,
    resample: int,
    most: int = MAX_INPUT_PIXELS,
) -> np.ndarray[Any, Any]:
    """The image, padded and resized, uint8 [height, width, 3]; arguments are those of the child process.

    Raises:
        UsageError: the file cannot be read as an image.
        WeightscopeError: Pillow is not installed.
    """
    import numpy as np

    try:
        there = path.stat().st_size
        if not path.is_file() or there > MAX_IMAGE:
            what = f"it is larger than {MAX_IMAGE:,} bytes" if path.is_file() else "it is not a file"
            raise _unreadable(what, path)
        child = Child("image", "PIL")
    except ImportError:
        raise WeightscopeError("Pillow is not installed", hint="install weightscope-cli[forward]") from None
    except OSError as error:
        raise _unreadable(error.strerror, path) from None
    request = {
        "path": os.path.abspath(path),  # noqa: PTH100 - as the file system spells it
        "most_bytes": MAX_IMAGE,
        "most_pixels": MAX_PIXELS,
        "most_input": most,
        "background": background,
        "size": size,
        "fit": fit,
        "resample": resample,
    }
    with child:
        child.send(json.dumps(request).encode(), IMAGE_SECONDS)
        try:
            answer = child.receive(SIZE.size + 3 * most)
        except ChildError as error:
            raise _unreadable(error, path) from None
    width, height = SIZE.unpack(answer[: SIZE.size])
    if SIZE.size + 3 * width * height != len(answer):
        raise _unreadable("Pillow returned a different number of pixels", path)
    return np.frombuffer(answer, np.uint8, offset=SIZE.size).reshape(height, width, 3)


def _unreadable(why: object, path: Path) -> UsageError:
    return UsageError(
        f"cannot be read as an image ({why})", where=path, hint="give a PNG, JPEG, WebP, GIF or BMP of a usual size"
    )


def as_it_is(path: Path) -> np.ndarray[Any, Any]:
    """The image in its own size, uint8 [height, width, 3], for processors that cut it into pieces.

    Raises:
        UsageError: the file cannot be read as an image.
        WeightscopeError: Pillow is not installed.
    """
    return decode(path, background=None, size=None, resample=0, most=MAX_PIXELS)


def in_square(image: np.ndarray[Any, Any], colour: Sequence[int], most: int) -> np.ndarray[Any, Any]:
    """The image [height, width, 3], uint8, in the middle of a square of a colour.

    Raises:
        ValueError: the square has more pixels than `most`.
    """
    import numpy as np

    height, width = image.shape[:2]
    side = max(height, width)
    if side * side > most:
        raise ValueError(f"an image that is padded to {side:,} × {side:,} pixels; the limit is {most:,} pixels")
    canvas = np.empty((side, side, 3), np.uint8)
    canvas[:] = colour
    top, left = (side - height) // 2, (side - width) // 2
    canvas[top : top + height, left : left + width] = image
    return canvas


def resized(image: np.ndarray[Any, Any], height: int, width: int, resample: int) -> np.ndarray[Any, Any]:
    """The image [h, w, 3], uint8, in another size; `resample` is Pillow's number of a filter.

    Raises:
        ValueError: the size is none that a model takes.
    """
    import numpy as np
    from PIL import Image

    if not 0 < height * width <= MAX_INPUT_PIXELS:
        raise ValueError(f"an image of {width:,} × {height:,} pixels; the limit is {MAX_INPUT_PIXELS:,} pixels")
    return np.asarray(Image.fromarray(image).resize((width, height), resample=resample))
