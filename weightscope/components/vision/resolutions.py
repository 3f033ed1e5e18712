"""How an image of any size is cut into tiles: the resolution that suits it, and its padding (LLaVA-NeXT)."""

from __future__ import annotations

import math
from collections.abc import Sequence

Resolution = tuple[int, int]


def best_resolution(height: int, width: int, resolutions: Sequence[Resolution]) -> Resolution:
    """The resolution (height, width) that keeps most of an image's pixels, and of equal ones the smallest."""

    def kept(resolution: Resolution) -> tuple[int, int]:
        tall, wide = resolution
        scale = min(wide / width, tall / height)
        pixels = min(int(width * scale) * int(height * scale), height * width)
        return pixels, pixels - tall * wide

    return max(resolutions, key=kept)


def unpadded(height: int, width: int, rows: int, columns: int) -> tuple[int, int]:
    """How many rows or columns of a grid are padding at each of its ends, as (rows, columns).

    The grid [rows, columns] holds an image of that height and width in its middle.
    """
    if width / height > columns / rows:
        return (rows - int(round(height * (columns / width), 7))) // 2, 0
    return 0, (columns - int(round(width * (rows / height), 7))) // 2


def shrunk(rows: int, columns: int, side: int, most: int) -> tuple[int, int]:
    """The size that a grid takes where it has more than about `most` squares of `side` (LLaVA-OneVision)."""
    ratio = math.sqrt(rows * columns / (most * side**2))
    return (int(rows // ratio), int(columns // ratio)) if ratio > SLACK else (rows, columns)


SLACK = 1.1
