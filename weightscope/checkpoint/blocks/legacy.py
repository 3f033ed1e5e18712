"""Blocks of 32 to 128 weights with one scale, and ternary ones of 256.

Source: `dequantize_row_*` in ggml/src/ggml-quants.c of llama.cpp.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightscope.checkpoint.blocks.parts import floats, halves, numbers, spread

if TYPE_CHECKING:
    from weightscope.checkpoint.blocks.parts import Bytes, Floats

# The values of E2M1, doubled: its scale is halved instead.
E2M1 = (0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12)


def q1_0(raw: Bytes) -> Floats:
    """D or -d."""
    signs = 2 * floats(numbers(raw[:, 2:], 1, 1)) - 1
    return spread(halves(raw[:, :2]), signs)


def q2_0(raw: Bytes) -> Floats:
    """`d · (code - 1)`."""
    return halves(raw[:, :2]) * floats(numbers(raw[:, 2:], 2, 1), 1)


def q4_0(raw: Bytes) -> Floats:
    """`d · (code - 8)`."""
    return halves(raw[:, :2]) * floats(numbers(raw[:, 2:], 4, 16), 8)


def q4_1(raw: Bytes) -> Floats:
    """`d · code + m`."""
    return halves(raw[:, :2]) * floats(numbers(raw[:, 4:], 4, 16)) + halves(raw[:, 2:4])


def q5_0(raw: Bytes) -> Floats:
    """`d · (code - 16)`."""
    codes = numbers(raw[:, 6:], 4, 16) | numbers(raw[:, 2:6], 1, 1) << 4
    return halves(raw[:, :2]) * floats(codes, 16)


def q5_1(raw: Bytes) -> Floats:
    """`d · code + m`."""
    codes = numbers(raw[:, 8:], 4, 16) | numbers(raw[:, 4:8], 1, 1) << 4
    return halves(raw[:, :2]) * floats(codes) + halves(raw[:, 2:4])


def q8_0(raw: Bytes) -> Floats:
    """`d · code, a byte with a sign`."""
    return halves(raw[:, :2]) * floats(raw[:, 2:].view("i1"))


def q8_1(raw: Bytes) -> Floats:
    """The same; the sum of the codes lies beside."""
    return halves(raw[:, :2]) * floats(raw[:, 4:].view("i1"))


def tq1_0(raw: Bytes) -> Floats:
    """`d · (digit - 1): five base-3 digits a byte, as a fraction of 256`."""
    import numpy as np

    powers = np.array([1, 3, 9, 27, 81], dtype=np.uint8)[:, None]
    parts = [
        (raw[:, start:stop].reshape(len(raw), 1, -1) * powers[:digits]).reshape(len(raw), -1)
        for start, stop, digits in ((0, 32, 5), (32, 48, 5), (48, 52, 4))
    ]
    digits = (np.concatenate(parts, axis=1).astype(np.uint16) * 3) >> 8
    return halves(raw[:, 52:]) * floats(digits.astype(np.uint8), 1)


def tq2_0(raw: Bytes) -> Floats:
    """`d · (code - 1)`."""
    return halves(raw[:, 64:]) * floats(numbers(raw[:, :64], 2, 32), 1)


def mxfp4(raw: Bytes) -> Floats:
    """2^(exponent - 127) · E2M1."""
    import numpy as np

    exponent = raw[:, :1].astype(np.uint32)
    # Half the scale; the two least exponents give numbers below the normal ones.
    bits = np.where(exponent < 2, np.uint32(0x00200000) << exponent, (exponent - 1) << 23)
    return bits.astype(np.uint32).view(np.float32) * np.array(E2M1, np.float32)[numbers(raw[:, 1:], 4, 16)]


def nvfp4(raw: Bytes) -> Floats:
    """E4M3 without a sign · E2M1, four scales a block; a scale of 0x7F counts as zero."""
    import numpy as np

    scales = raw[:, :4]
    exponent, mantissa = (scales >> 3 & 15).astype(np.float32), (scales & 7).astype(np.float32)
    normal = (1 + mantissa / 8) * np.exp2(exponent - 7)
    wide = np.where(exponent == 0, mantissa * np.float32(2**-9), normal) / 2
    wide = np.where(scales == 0x7F, 0, wide).astype(np.float32)
    return spread(wide, np.array(E2M1, np.float32)[numbers(raw[:, 4:], 4, 8)])
