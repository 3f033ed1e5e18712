"""A heatmap of a matrix: the RMS of each block of values as a colour, in an image that the SVG carries with it."""

from __future__ import annotations

import base64
import math
import struct
import zlib
from typing import TYPE_CHECKING, Any

from weightscope.output.figures.frame import TEXT, WIDTH, frame, label
from weightscope.output.web.elements import Markup, element

if TYPE_CHECKING:
    import numpy as np

# Blocks in each direction at most.
MOST = 256
# Values that are squared at a time, unless one block has more.
AT_ONCE = 1 << 20
TOP, HEIGHT = 24, 360
# From small to large: viridis' colours at equal distances, which read the same for every eye and on every ground.
COLOURS = (
    (68, 1, 84), (71, 45, 123), (59, 82, 139), (44, 114, 142), (33, 145, 140), (40, 174, 128), (94, 201, 98),
    (173, 220, 48), (253, 231, 37),
)  # fmt: skip
BROKEN = (255, 0, 0)


def heatmap(matrix: np.ndarray[Any, Any], *, title: str, description: str) -> Markup:
    """A picture of a matrix [rows, columns]; blocks with NaN or infinity are red.

    More than 256 rows or columns are put together in blocks, and the picture says so.
    """
    import numpy as np

    blocks, (high, wide) = blocks_of(matrix)
    rows, columns = matrix.shape
    known = blocks[np.isfinite(blocks)]
    largest = float(known.max()) if known.size else 0.0
    together = f"; each point is the RMS of a block of {high} × {wide}" if (high, wide) != (1, 1) else ""
    told = f"{description} {rows:,} rows, {columns:,} columns{together}. Largest {largest:.4g}."
    image = element(
        "image",
        href=Markup(f"data:image/png;base64,{base64.b64encode(png(colours_of(blocks, largest))).decode()}"),
        x=0,
        y=TOP,
        width=WIDTH,
        height=HEIGHT,
        preserveAspectRatio="none",
        class_="ws-pixels",
    )
    shown = (
        f"[{rows:,}, {columns:,}]{f' in blocks of {high} × {wide}' if together else ''}, dark 0 to bright {largest:.4g}"
    )
    broken = ", red NaN or infinity" if known.size < blocks.size else ""
    return frame(
        "heatmap",
        TOP + HEIGHT,
        label(0, TEXT + 2, shown + broken, kind="ws-tick"),
        image,
        title=title,
        description=told,
    )


def blocks_of(matrix: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], tuple[int, int]]:
    """The RMS of each block [≤ 256, ≤ 256], NaN where a value is not finite, and how many rows and columns one has."""
    import numpy as np

    rows, columns = matrix.shape
    high, wide = math.ceil(rows / MOST) or 1, math.ceil(columns / MOST) or 1
    blocks = np.full((math.ceil(rows / high), math.ceil(columns / wide)), np.nan)
    # Whole blocks, some at a time: the squares of a whole embedding in float64 would be gigabytes.
    span = max(AT_ONCE // high // wide, 1) * wide
    for place in range(len(blocks)):
        for left in range(0, columns, span):
            part = matrix[place * high : (place + 1) * high, left : left + span].astype(np.float64)
            starts = np.arange(0, part.shape[1], wide)
            with np.errstate(over="ignore", invalid="ignore"):
                sums = np.add.reduceat((part * part).sum(axis=0), starts)
            sizes = np.diff([*starts, part.shape[1]]) * len(part)
            blocks[place, left // wide : left // wide + len(starts)] = np.sqrt(sums / sizes)
    return np.where(np.isfinite(blocks), blocks, np.nan), (high, wide)


def colours_of(blocks: np.ndarray[Any, Any], largest: float) -> np.ndarray[Any, Any]:
    """Bytes [rows, columns, 3] of red, green and blue."""
    import numpy as np

    places = np.linspace(0, 1, len(COLOURS))
    shares = np.nan_to_num(blocks / (largest or 1.0))
    channels = [np.interp(shares, places, [colour[channel] for colour in COLOURS]) for channel in range(3)]
    pixels = np.stack(channels, axis=-1).round().astype(np.uint8)
    pixels[np.isnan(blocks)] = BROKEN
    return pixels


def png(pixels: np.ndarray[Any, Any]) -> bytes:
    """A PNG file of bytes [rows, columns, 3]."""
    rows, columns, _ = pixels.shape
    lines = b"".join(b"\0" + pixels[row].tobytes() for row in range(rows))
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", columns, rows, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(lines, 9)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )
