"""The IQ types: codes stand for several weights at a time, taken from a grid, or for one of sixteen uneven values.

Source: `dequantize_row_iq*` in ggml/src/ggml-quants.c of llama.cpp.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from weightscope.checkpoint.blocks.parts import floats, halves, numbers, spread

if TYPE_CHECKING:
    import numpy as np

    from weightscope.checkpoint.blocks.parts import Bytes, Floats

# The values of the two types with four bits a weight, dense around zero.
UNEVEN = (-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113)
# What is added to each weight of the types with under two bits.
DELTA = 0.125


def iq2_xxs(raw: Bytes) -> Floats:
    """Four bytes of codes for 32 weights; four more are their signs and, in the highest bits, their scale."""
    words = _words(raw[:, 2:], "<u4").reshape(len(raw), -1, 2)
    codes = words[..., :1].copy().view("u1").reshape(len(raw), -1)
    scales = halves(raw[:, :2]) * ((words[..., 1] >> 28).astype("f4") + 0.5) * 0.25
    return spread(scales, _grid("IQ2_XXS", codes) * _signs_of_seven(words[..., 1]))


def iq2_xs(raw: Bytes) -> Floats:
    """Nine bits of code and seven of signs for 8 weights, and a scale for 16."""
    words = _words(raw[:, 2:66], "<u2")
    scales = halves(raw[:, :2]) * (floats(numbers(raw[:, 66:], 4, 1)) + 0.5) * 0.25
    return spread(scales, _grid("IQ2_XS", words & 511) * _signs(_eight_signs()[words >> 9]))


def iq2_s(raw: Bytes) -> Floats:
    """Ten bits of code and eight of signs for 8 weights, and a scale for 16."""
    codes = raw[:, 2:34].astype("u2") | numbers(raw[:, 66:74], 2, 1).astype("u2") << 8
    scales = halves(raw[:, :2]) * (floats(numbers(raw[:, 74:], 4, 1)) + 0.5) * 0.25
    return spread(scales, _grid("IQ2_S", codes) * _signs(raw[:, 34:66]))


def iq3_xxs(raw: Bytes) -> Floats:
    """A byte of code for 4 weights, and four bytes of signs and scale for 32."""
    words = _words(raw[:, 66:], "<u4")
    scales = halves(raw[:, :2]) * ((words >> 28).astype("f4") + 0.5) * 0.5
    return spread(scales, _grid("IQ3_XXS", raw[:, 2:66]) * _signs_of_seven(words))


def iq3_s(raw: Bytes) -> Floats:
    """Nine bits of code for 4 weights, a sign each, and a scale for 32."""
    codes = raw[:, 2:66].astype("u2") | numbers(raw[:, 66:74], 1, 1).astype("u2") << 8
    scales = halves(raw[:, :2]) * (2 * floats(numbers(raw[:, 106:], 4, 1)) + 1)
    return spread(scales, _grid("IQ3_S", codes) * _signs(raw[:, 74:106]))


def iq1_s(raw: Bytes) -> Floats:
    """Eleven bits of code for 8 weights; a scale and the sign of what is added for 32."""
    import numpy as np

    high = _words(raw[:, 34:], "<u2")
    upper = (high[:, :, None] >> np.arange(0, 12, 3, dtype="u2") & 7) << 8
    codes = raw[:, 2:34] | upper.reshape(len(raw), -1)
    scales = halves(raw[:, :2]) * (2 * (high >> 12 & 7).astype("f4") + 1)
    added = np.where(high & 0x8000, -DELTA, DELTA).astype("f4")
    return spread(scales, _grid("IQ1_S", codes) + np.repeat(added, 32, axis=1))


def iq1_m(raw: Bytes) -> Floats:
    """Eleven bits of code and the sign of what is added for 8 weights, a scale for 16; the block's own is in pieces."""
    import numpy as np

    parts = _words(raw[:, 48:], "<u2")
    pieces = (parts & 0xF000) >> np.array([12, 8, 4, 0], dtype="u2")
    d = np.bitwise_or.reduce(pieces, axis=1, keepdims=True).astype("<u2").view("<f2").astype("f4")
    small = (parts[:, :, None] >> np.arange(0, 12, 3, dtype="u2") & 7).reshape(len(raw), -1)
    high = numbers(raw[:, 32:48], 4, 1)
    codes = raw[:, :32] | (high & 7).astype("u2") << 8
    added = np.where(high & 8, -DELTA, DELTA).astype("f4")
    return spread(d * (2 * small.astype("f4") + 1), _grid("IQ1_S", codes) + np.repeat(added, 8, axis=1))


def iq4_nl(raw: Bytes) -> Floats:
    """`d · one of sixteen values`."""
    import numpy as np

    return spread(halves(raw[:, :2]), np.array(UNEVEN, "f4")[numbers(raw[:, 2:], 4, 16)])


def iq4_xs(raw: Bytes) -> Floats:
    """`d · (scale - 32) · one of sixteen values, a scale for 32`."""
    import numpy as np

    upper = numbers(raw[:, 2:4], 2, 1)
    scales = halves(raw[:, :2]) * floats(numbers(raw[:, 4:8], 4, 1) | upper << 4, 32)
    return spread(scales, np.array(UNEVEN, "f4")[numbers(raw[:, 8:], 4, 16)])


def _words(packed: Bytes, kind: str) -> np.ndarray[Any, Any]:
    import numpy as np

    return np.ascontiguousarray(packed).view(kind)


@cache
def _table(name: str) -> Floats:
    """The grid of that name, [codes, weights]."""
    import numpy as np

    from weightscope.checkpoint.blocks import grids

    grid: grids.Grid = getattr(grids, name)
    places = numbers(np.frombuffer(bytes.fromhex(grid.packed), np.uint8)[None], grid.bits, 1)
    values: Floats = np.array(grid.values, np.float32)[places].reshape(-1, grid.weights)
    return values


def _grid(name: str, codes: np.ndarray[Any, Any]) -> Floats:
    """[blocks, codes] to [blocks, weights]."""
    weights: Floats = _table(name)[codes].reshape(len(codes), -1)
    return weights


@cache
def _eight_signs() -> Bytes:
    """The eighth sign of each seven: the number of minus signs is even."""
    import numpy as np

    codes: Bytes = np.array([code | code.bit_count() % 2 << 7 for code in range(128)], np.uint8)
    return codes


def _signs(packed: Bytes) -> Floats:
    """A bit a weight, as 1 or -1."""
    return 1 - 2 * floats(numbers(packed, 1, 1))


def _signs_of_seven(words: np.ndarray[Any, Any]) -> Floats:
    """Seven bits four times a word, each with an eighth that follows from them; [blocks, weights]."""
    import numpy as np

    sevens = words[:, :, None] >> np.arange(0, 28, 7, dtype=np.uint32) & 127
    return _signs(_eight_signs()[sevens].reshape(len(words), -1))
