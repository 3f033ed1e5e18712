"""The K types: 256 weights with a scale of 16 bits, and small scales for each 16 or 32 of them.

Source: `dequantize_row_q*_K` in ggml/src/ggml-quants.c of llama.cpp.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightscope.checkpoint.blocks.parts import floats, halves, numbers, spread

if TYPE_CHECKING:
    from weightscope.checkpoint.blocks.parts import Bytes, Floats


def q2_k(raw: Bytes) -> Floats:
    """`d · scale · code - dmin · min`."""
    scales, codes = raw[:, :16], numbers(raw[:, 16:80], 2, 32)
    d, least = halves(raw[:, 80:82]), halves(raw[:, 82:84])
    return _between(d * floats(scales & 15), floats(codes), least * floats(scales >> 4))


def q3_k(raw: Bytes) -> Floats:
    """`d · (scale - 32) · (code - 4), the code's highest bit apart`."""
    codes = numbers(raw[:, 32:96], 2, 32) | numbers(raw[:, :32], 1, 32) << 2
    scales = numbers(raw[:, 96:104], 4, 8) | numbers(raw[:, 104:108], 2, 4) << 4
    return spread(halves(raw[:, 108:]) * floats(scales, 32), floats(codes, 4))


def q4_k(raw: Bytes) -> Floats:
    """`d · scale · code - dmin · min`."""
    scales, least = _six_bits(raw)
    return _between(scales, floats(numbers(raw[:, 16:], 4, 32)), least)


def q5_k(raw: Bytes) -> Floats:
    """The same, the code's highest bit apart."""
    scales, least = _six_bits(raw)
    codes = numbers(raw[:, 48:], 4, 32) | numbers(raw[:, 16:48], 1, 32) << 4
    return _between(scales, floats(codes), least)


def q6_k(raw: Bytes) -> Floats:
    """`d · scale · (code - 32), the code's two highest bits apart`."""
    codes = numbers(raw[:, :128], 4, 64) | numbers(raw[:, 128:192], 2, 32) << 4
    return spread(halves(raw[:, 208:]) * floats(raw[:, 192:208].view("i1")), floats(codes, 32))


def q8_k(raw: Bytes) -> Floats:
    """`d · code, with a scale of 32 bits; sums of the codes lie behind`."""
    import numpy as np

    d = np.ascontiguousarray(raw[:, :4]).view("<f4")
    return d * floats(raw[:, 4:260].view("i1"))


def _six_bits(raw: Bytes) -> tuple[Floats, Floats]:
    """The eight scales and the eight minima of a block: twelve bytes of six-bit numbers behind their two factors."""
    import numpy as np

    first, second, both = raw[:, 4:8], raw[:, 8:12], raw[:, 12:16]
    scales = np.concatenate((first & 63, both & 15 | first >> 2 & 48), axis=1)
    least = np.concatenate((second & 63, both >> 4 | second >> 2 & 48), axis=1)
    return halves(raw[:, :2]) * floats(scales), halves(raw[:, 2:4]) * floats(least)


def _between(scales: Floats, codes: Floats, least: Floats) -> Floats:
    """Scale · code - least, each scale with an equal share of the codes."""
    blocks, count = scales.shape
    apart = codes.reshape(blocks, count, -1)
    apart *= scales[:, :, None]
    apart -= least[:, :, None]
    return apart.reshape(blocks, -1)
