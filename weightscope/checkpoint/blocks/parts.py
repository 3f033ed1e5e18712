"""What the block types share: numbers of a few bits, and scales of 16 bits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    # uint8, and float32.
    Bytes = np.ndarray[Any, Any]
    Floats = np.ndarray[Any, Any]


def numbers(packed: Bytes, bits: int, width: int) -> Bytes:
    """Unsigned numbers of so many bits, [blocks, bytes] to [blocks, bytes · 8 / bits].

    The lowest bits of `width` bytes come first, then the next bits of the same bytes, and so on.
    """
    import numpy as np

    shifts = np.arange(0, 8, bits, dtype=np.uint8)[:, None]
    apart = packed.reshape(len(packed), -1, 1, width) >> shifts & np.uint8(2**bits - 1)
    return apart.reshape(len(packed), -1)


def halves(packed: Bytes) -> Floats:
    """16-bit floats, [blocks, bytes] to [blocks, bytes / 2], as float32."""
    import numpy as np

    return np.ascontiguousarray(packed).view("<f2").astype(np.float32)


def spread(scales: Floats, codes: Floats) -> Floats:
    """[blocks, weights]: each scale times the codes that are its own, an equal share of the block."""
    blocks, count = scales.shape
    return (scales[:, :, None] * codes.reshape(blocks, count, -1)).reshape(blocks, -1)


def floats(codes: Bytes, less: int = 0) -> Floats:
    """The codes as float32, less what stands for zero."""
    import numpy as np

    wide = codes.astype(np.float32)
    return wide - np.float32(less) if less else wide
